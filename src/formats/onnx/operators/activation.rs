//! Activations without attributes.

use crate::formats::onnx::call::{Call, Outputs};
use crate::ops::{Activate, Activation};

/// `max(x, 0)`.
pub fn relu(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::Relu)
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::Sigmoid)
}

/// The hyperbolic tangent.
pub fn tanh(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::Tanh)
}

fn apply(call: &mut Call<'_>, activation: Activation) -> Outputs {
    let x = call.value(0, "X")?;
    Ok(vec![call.add(Activate { activation }, &[x])?.into()])
}
