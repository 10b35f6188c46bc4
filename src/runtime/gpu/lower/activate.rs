//! Activations on their own, and which of them the kernels know.

use seqfuse_kernels::wgsl;

use super::lines::Lines;
use super::lowering::{GpuOp, Lowering};
use super::pointwise::{self, Expression, literal};
use super::softmax;
use crate::graph::{DType, Graph, Node};
use crate::ops::{Activate, Activation};
use crate::runtime::RunError;
use crate::runtime::gpu::{self, ActivationKind, Dispatch, Parameters, Shader};

impl GpuOp for Activate {
    fn expression(&self, _: &[Option<DType>], _: DType) -> Option<Expression> {
        expression(self.activation).map(Expression::new)
    }

    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        match self.activation {
            Activation::Glu => Ok(()),
            activation => check(activation),
        }
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        let kinds = ActivationKind::ALL.map(gpu::Activation::from).map(call_of);
        let relu =
            |max_value| Activation::BoundedRelu { negative_slope: 0.1, max_value, threshold: 0.5 };
        let others =
            [relu(None), relu(Some(2.0)), Activation::Threshold { threshold: 0.5, value: 0.25 }];
        let texts = kinds.into_iter().chain(others.into_iter().map(expression));
        let of =
            |text: String| super::body::sample(&Expression::new(text), &[DType::F32], DType::F32);
        texts.flatten().map(of).chain([rows_shader()]).collect()
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let width = x.shape.last().copied().unwrap_or(1);
        if self.activation == Activation::Glu {
            let (output, y) = lowering.result()?;
            return rows_kernel(lowering, 0, y.len, width / 2, [input, output]);
        }
        apply(lowering, self.activation, [x.len, width], input, lowering.result()?.0)
    }
}

/// A WGSL function of one f32 that applies an element-wise activation; the identity for one that
/// works on rows. Needs [`wgsl::ELEMENTWISE`](seqfuse_kernels::wgsl::ELEMENTWISE).
pub fn function(name: &str, activation: Activation) -> String {
    let text = expression(activation).unwrap_or_else(|| "{0}".to_owned()).replace("{0}", "x");
    format!("fn {name}(x: f32) -> f32 {{ return {text}; }}\n")
}

/// An element-wise activation as WGSL, of `{0}`; none where it works on rows.
pub fn expression(activation: Activation) -> Option<String> {
    if let Some(known) = elementwise(activation) {
        return call_of(known);
    }
    match activation {
        Activation::BoundedRelu { negative_slope, max_value, threshold } => {
            let [slope, threshold] = [literal(negative_slope)?, literal(threshold)?];
            let largest = match max_value.filter(|value| *value < f32::INFINITY) {
                Some(value) => literal(value)?,
                None => "infinity()".to_owned(),
            };
            Some(format!("bounded_relu({{0}}, {slope}, {largest}, {threshold})"))
        }
        Activation::Threshold { threshold, value } => {
            let [threshold, value] = [literal(threshold)?, literal(value)?];
            Some(format!("threshold_of({{0}}, {threshold}, {value})"))
        }
        _ => None,
    }
}

/// The call of a function that the kernels number. NaN stays; -inf, and for softsign both infinities,
/// are the largest numbers, where the formula would multiply or divide them by each other.
fn call_of(activation: gpu::Activation) -> Option<String> {
    use ActivationKind as Kind;
    if activation.kind == Kind::Linear {
        return Some("{0}".to_owned());
    }
    let x = match activation.kind {
        Kind::Softsign | Kind::Squareplus => "clamp({0}, -3e38f, 3e38f)",
        Kind::Silu | Kind::Gelu | Kind::GeluTanh | Kind::Mish | Kind::HardSilu => {
            "max({0}, -3e38f)"
        }
        _ => "{0}",
    };
    let (kind, alpha) = (activation.kind as u32, literal(activation.alpha)?);
    Some(format!("select(activate({kind}u, {alpha}, {x}), {{0}}, nan_of({{0}}))"))
}

/// Refuses an activation that no kernel knows.
///
/// # Errors
/// The reason.
pub fn check(activation: Activation) -> Result<(), String> {
    let of_rows =
        matches!(activation, Activation::Softmax | Activation::LogSoftmax | Activation::Sparsemax);
    match of_rows || expression(activation).is_some() {
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
    if let Some(expression) = expression(activation) {
        return pointwise::apply(lowering, &Expression::new(expression), len, input, output);
    }
    let rows = Lines { outer: len.checked_div(width).unwrap_or(0), axis: width, inner: 1 };
    match activation {
        Activation::Softmax => softmax::record(lowering, rows, false, [input, output]),
        Activation::LogSoftmax => softmax::record(lowering, rows, true, [input, output]),
        Activation::Sparsemax if width <= LONGEST_SPARSE => {
            rows_kernel(lowering, 1, rows.outer, width, [input, output])
        }
        _ => Err(lowering.refuse(format!("activation {activation:?} has no GPU kernel"))),
    }
}

/// Rows of sparsemax at most: a thread sorts a row by looking for the next value time and again.
const LONGEST_SPARSE: usize = 1024;

fn rows_shader() -> Shader {
    Shader::new("activation_rows", &[wgsl::ELEMENTWISE, wgsl::ACTIVATION_ROWS])
}

/// Records the kernel of activations that work on rows; `width` is that of the output's rows.
fn rows_kernel(
    lowering: &mut Lowering<'_>,
    kind: u32,
    count: usize,
    width: usize,
    [input, output]: [u32; 2],
) -> Result<(), RunError> {
    let elements = (count * if kind == 1 { width } else { 1 }) as u64;
    let parameters = Parameters::new()
        .word(lowering.size(count)?)
        .word(lowering.size(width)?)
        .word(input)
        .word(output);
    let mut call = Dispatch::new(rows_shader(), parameters, count.div_ceil(256) as u64);
    call.rounds = if kind == 1 { (width * (width + 2)) as u64 } else { 0 };
    call.constants.push(("KIND", kind));
    let read = if kind == 1 { elements } else { 2 * elements };
    lowering.dispatch(call.touching(input, read).touching(output, elements))
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
