//! Activations: elementwise functions with a few parameters.

use super::{compose, numeric};
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::Problem;
use crate::graph::{Data, Dim, Tensor, ValueId};
use crate::ops::{Activation, BinaryKind};

/// `max(x, 0)`; of integers too.
pub fn relu(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "X")?;
    let dtype = call.value_ty(x).dtype;
    if !dtype.is_int() {
        return apply(call, Activation::Relu);
    }
    let x = numeric::widen(call, x)?;
    let zero = numeric::scalar(call, call.value_ty(x).dtype, 0);
    let y = compose::binary(call, BinaryKind::Maximum, x, zero)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::Sigmoid)
}

/// The hyperbolic tangent.
pub fn tanh(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::Tanh)
}

/// `ln(1 + e^x)`.
pub fn softplus(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::Softplus)
}

/// `x / (1 + |x|)`.
pub fn softsign(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::Softsign)
}

/// `x · tanh(ln(1 + e^x))`.
pub fn mish(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::Mish)
}

/// `x · max(0, min(1, x / 6 + 1/2))`.
pub fn hard_swish(call: &mut Call<'_>) -> Outputs {
    apply(call, Activation::HardSilu)
}

/// `x`, below 0 times `alpha`.
pub fn leaky_relu(call: &mut Call<'_>) -> Outputs {
    let negative_slope = call.attributes.float_or("alpha", 0.01)?;
    apply(call, Activation::LeakyRelu { negative_slope })
}

/// `x`, below 0 `alpha · (e^x - 1)`.
pub fn elu(call: &mut Call<'_>) -> Outputs {
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    apply(call, Activation::Elu { alpha })
}

/// `max(0, x) + min(0, alpha · (e^(x / alpha) - 1))`.
pub fn celu(call: &mut Call<'_>) -> Outputs {
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    if alpha.is_nan() || alpha <= 0.0 {
        return Err(bad("alpha", alpha.to_string(), "a number above 0"));
    }
    apply(call, Activation::Celu { alpha })
}

/// `gamma · x`, below 0 `gamma · alpha · (e^x - 1)`.
pub fn selu(call: &mut Call<'_>) -> Outputs {
    // The constants of Klambauer et al. in single precision, as the operator's text has them.
    let (usual_alpha, usual_gamma) = (1.673_263_2, 1.050_701);
    let alpha = call.attributes.float_or("alpha", usual_alpha)?;
    let gamma = call.attributes.float_or("gamma", usual_gamma)?;
    if (alpha, gamma) == (usual_alpha, usual_gamma) {
        return apply(call, Activation::Selu);
    }
    composed(call, |call, x| {
        let y = compose::activate(call, Activation::Elu { alpha }, x)?;
        compose::with_number(call, BinaryKind::Multiply, y, gamma)
    })
}

/// `max(0, min(1, alpha · x + beta))`.
pub fn hard_sigmoid(call: &mut Call<'_>) -> Outputs {
    let alpha = call.attributes.float_or("alpha", 0.2)?;
    let beta = call.attributes.float_or("beta", 0.5)?;
    if (alpha, beta) == (0.2, 0.5) {
        return apply(call, Activation::LegacyHardSigmoid);
    }
    composed(call, |call, x| {
        let x = compose::with_number(call, BinaryKind::Multiply, x, alpha)?;
        let x = compose::with_number(call, BinaryKind::Add, x, beta)?;
        let (negative_slope, max_value, threshold) = (0.0, Some(1.0), 0.0);
        let bounded = Activation::BoundedRelu { negative_slope, max_value, threshold };
        compose::activate(call, bounded, x)
    })
}

/// `x` above `alpha`, else 0.
pub fn thresholded_relu(call: &mut Call<'_>) -> Outputs {
    let threshold = call.attributes.float_or("alpha", 1.0)?;
    apply(call, Activation::Threshold { threshold, value: 0.0 })
}

/// `x · Φ(x)` with the normal distribution `Φ`, or the form with tanh.
pub fn gelu(call: &mut Call<'_>) -> Outputs {
    let approximate = match call.attributes.string_or("approximate", "none")? {
        "none" => false,
        "tanh" => true,
        other => return Err(bad("approximate", format!("'{other}'"), "'none' or 'tanh'")),
    };
    apply(call, Activation::Gelu { approximate })
}

/// `x / (1 + e^(-alpha · x))`.
pub fn swish(call: &mut Call<'_>) -> Outputs {
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    composed(call, |call, x| sloped_swish(call, x, alpha))
}

/// `x / (1 + e^(-alpha · x))`: ONNX Runtime's, whose slope is another by default.
pub fn quick_gelu(call: &mut Call<'_>) -> Outputs {
    let alpha = call.attributes.float_or("alpha", 1.702)?;
    composed(call, |call, x| sloped_swish(call, x, alpha))
}

fn sloped_swish(call: &mut Call<'_>, x: ValueId, alpha: f32) -> Result<ValueId, Problem> {
    if alpha == 1.0 {
        return compose::activate(call, Activation::Silu, x);
    }
    let gate = compose::with_number(call, BinaryKind::Multiply, x, alpha)?;
    let gate = compose::activate(call, Activation::Sigmoid, gate)?;
    compose::product(call, x, gate)
}

/// `x` drawn towards 0 by `bias`, and 0 within `-lambd ..= lambd`.
pub fn shrink(call: &mut Call<'_>) -> Outputs {
    let bias = call.attributes.float_or("bias", 0.0)?;
    let threshold = call.attributes.float_or("lambd", 0.5)?;
    if threshold >= 0.0 && bias == 0.0 {
        return apply(call, Activation::HardShrink { threshold });
    }
    if threshold >= 0.0 && bias == threshold {
        return apply(call, Activation::SoftShrink { threshold });
    }
    composed(call, |call, x| {
        let (low, high) = (Tensor::scalar(-threshold), Tensor::scalar(threshold));
        let (low, high) = (call.constant(low), call.constant(high));
        let zero = call.constant(Tensor::scalar(0.0f32));
        let is_below = compose::binary(call, BinaryKind::Less, x, low)?;
        let is_above = compose::binary(call, BinaryKind::Greater, x, high)?;
        let raised = compose::with_number(call, BinaryKind::Add, x, bias)?;
        let lowered = compose::with_number(call, BinaryKind::Subtract, x, bias)?;
        let rest = compose::select(call, is_above, lowered, zero)?;
        compose::select(call, is_below, raised, rest)
    })
}

/// `x`, below 0 times `slope`, which is repeated as NumPy does; before version 7 one of several elements
/// belongs to the features.
pub fn prelu(call: &mut Call<'_>) -> Outputs {
    let slope = call.operand(1, "slope")?;
    let x = call.value(0, "X")?;
    let dtype = call.value_ty(x).dtype;
    if let Some(tensor) = slope.tensor()
        && let Data::F32(values) = tensor.data()
        && let [negative_slope] = values[..]
        && tensor.shape().len() <= call.value_ty(x).rank()
        && matches!(slope, crate::formats::onnx::operand::Operand::Known(_))
    {
        return apply(call, Activation::LeakyRelu { negative_slope });
    }
    let x = numeric::widen(call, x)?;
    let slope = call.materialize(&slope)?;
    let mut slope = numeric::widen(call, slope)?;
    let (rank, features) = (call.value_ty(x).rank(), call.value_ty(slope).dims.first().cloned());
    if call.opset() < 7
        && call.value_ty(slope).rank() == 1
        && let Some(features) = features.filter(|features| features.known() != Some(1) && rank > 1)
    {
        let mut dims = vec![features];
        dims.resize(rank - 1, Dim::Known(1));
        slope = compose::shaped(call, slope, dims)?;
    }
    let zero = numeric::scalar(call, call.value_ty(x).dtype, 0);
    let is_below = compose::binary(call, BinaryKind::Less, x, zero)?;
    let sloped = compose::product(call, x, slope)?;
    let y = compose::select(call, is_below, sloped, x)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}

fn apply(call: &mut Call<'_>, activation: Activation) -> Outputs {
    // What versions before 7 could compute in place.
    call.attributes.ignore(["consumed_inputs"]);
    composed(call, |call, x| compose::activate(call, activation, x))
}

/// One output from one input of numbers.
fn composed(
    call: &mut Call<'_>,
    body: impl FnOnce(&mut Call<'_>, ValueId) -> Result<ValueId, Problem>,
) -> Outputs {
    let (x, dtype) = compose::float(call, 0, "X")?;
    let y = body(call, x)?;
    Ok(vec![compose::like(call, y, dtype)?.into()])
}
