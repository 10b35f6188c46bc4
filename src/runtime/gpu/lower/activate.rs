//! Activations on their own, and which of them the kernels know.

use super::lowering::{GpuOp, Lowering};
use crate::graph::{Graph, Node};
use crate::ops::{Activate, Activation};
use crate::runtime::RunError;
use crate::runtime::gpu::{self, ActivationKind};

impl GpuOp for Activate {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        check(self.activation)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let width = x.shape.last().copied().unwrap_or(1);
        apply(lowering, self.activation, [x.len, width], input, lowering.result()?.0)
    }
}

/// Refuses an activation that no kernel knows.
///
/// # Errors
/// The reason.
pub fn check(activation: Activation) -> Result<(), String> {
    match activation == Activation::Softmax || elementwise(activation).is_some() {
        true => Ok(()),
        false => Err(format!("activation {activation:?} has no GPU kernel")),
    }
}

/// Applies an activation to `len` elements in rows of `width`; `output` may be `input`.
///
/// # Errors
/// If no kernel knows it, or sizes are beyond what the device counts.
pub fn apply(
    lowering: &mut Lowering<'_>,
    activation: Activation,
    [len, width]: [usize; 2],
    input: u32,
    output: u32,
) -> Result<(), RunError> {
    let label = lowering.label();
    if let Some(activation) = elementwise(activation) {
        let len = lowering.size(len)?;
        return Ok(lowering.recorder.activation(label, activation, len, input, output)?);
    }
    check(activation).map_err(|reason| lowering.refuse(reason))?;
    let rows = lowering.size(len.checked_div(width).unwrap_or(0))?;
    let width = lowering.size(width)?;
    Ok(lowering.recorder.softmax(label, rows, width, input, output)?)
}

/// The kernels' form of an activation; none where it works on rows, or they do not know it.
pub fn elementwise(activation: Activation) -> Option<gpu::Activation> {
    use ActivationKind as Kind;
    let with = |kind, alpha| Some(gpu::Activation { kind, alpha });
    let plain = |kind| with(kind, 0.0);
    match activation {
        Activation::Linear => plain(Kind::Linear),
        Activation::Relu => plain(Kind::Relu),
        Activation::BoundedRelu { negative_slope, max_value: None, threshold: 0.0 } => {
            with(Kind::LeakyRelu, negative_slope)
        }
        Activation::LeakyRelu { negative_slope } => with(Kind::LeakyRelu, negative_slope),
        Activation::BoundedRelu { negative_slope: 0.0, max_value: Some(6.0), threshold: 0.0 }
        | Activation::Relu6 => plain(Kind::Relu6),
        Activation::Celu { alpha } => with(Kind::Celu, alpha),
        Activation::Elu { alpha } => with(Kind::Elu, alpha),
        Activation::Selu => plain(Kind::Selu),
        Activation::Softplus => plain(Kind::Softplus),
        Activation::Softsign => plain(Kind::Softsign),
        Activation::Squareplus { b } => with(Kind::Squareplus, b),
        Activation::SoftShrink { threshold } => with(Kind::SoftShrink, threshold),
        Activation::HardShrink { threshold } => with(Kind::HardShrink, threshold),
        Activation::SparsePlus => plain(Kind::SparsePlus),
        Activation::SparseSigmoid => plain(Kind::SparseSigmoid),
        Activation::Silu => plain(Kind::Silu),
        Activation::Gelu { approximate: false } => plain(Kind::Gelu),
        Activation::Gelu { approximate: true } => plain(Kind::GeluTanh),
        Activation::Tanh => plain(Kind::Tanh),
        Activation::TanhShrink => plain(Kind::TanhShrink),
        Activation::Sigmoid => plain(Kind::Sigmoid),
        Activation::Exponential => plain(Kind::Exponential),
        Activation::HardSigmoid => plain(Kind::HardSigmoid),
        Activation::LegacyHardSigmoid => plain(Kind::HardSigmoidKeras2),
        Activation::HardSilu => plain(Kind::HardSilu),
        Activation::HardTanh => plain(Kind::HardTanh),
        Activation::Mish => plain(Kind::Mish),
        Activation::LogSigmoid => plain(Kind::LogSigmoid),
        Activation::BoundedRelu { .. }
        | Activation::Threshold { .. }
        | Activation::Softmax
        | Activation::LogSoftmax
        | Activation::Sparsemax
        | Activation::Glu => None,
    }
}
