//! The input as it is.

use crate::formats::onnx::call::{Call, Outputs};

/// `input`.
pub fn identity(call: &mut Call<'_>) -> Outputs {
    Ok(vec![call.operand(0, "input")?])
}
