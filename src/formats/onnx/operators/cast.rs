//! Another element type.

use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::Sizes;
use crate::formats::onnx::operand::Operand;
use crate::formats::onnx::tensor::dtype;
use crate::graph::DType;

/// Converts elements to the type `to`.
pub fn cast(call: &mut Call<'_>) -> Outputs {
    let input = call.operand(0, "input")?;
    let to = call.attributes.int("to")?.ok_or_else(|| missing("to"))?;
    // How float8 is rounded; there is none here.
    call.attributes.ignore(["saturate", "round_mode"]);
    let known = i32::try_from(to).map_err(|_| "an unknown element type".to_owned()).and_then(dtype);
    let to = known.map_err(|what| bad("to", format!("{to} ({what})"), "a supported type"))?;
    // A size fits any integer that shapes are computed in.
    if let (Operand::Sizes(sizes), DType::I32 | DType::I64) = (&input, to) {
        return Ok(vec![Sizes { dtype: to, ..sizes.clone() }.into()]);
    }
    let x = call.materialize(&input)?;
    let mut y = call.cast(x, to)?;
    if to == DType::F16 {
        // Rounded to half precision, and computed with in single precision.
        y = call.cast(y, DType::F32)?;
    }
    Ok(vec![y.into()])
}
