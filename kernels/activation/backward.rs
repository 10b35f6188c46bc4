//! Derivatives: lane functions of the kept value, vectorised for each instruction set.

use super::{Activation, SELU_ALPHA, SELU_SCALE, math};
use crate::isa::{Isa, Kernel, Simd};

/// A derivative as a function of one lane's kept value.
trait Slope: Copy {
    fn slope<S: Simd>(self, kept: f32) -> f32;
}

/// `dx = dy · slope(kept)`.
struct Each<'a, F> {
    kept: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    function: F,
}

impl<F: Slope> Kernel for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let function = self.function;
        for ((dx, &dy), &kept) in self.dx.iter_mut().zip(self.dy).zip(self.kept) {
            *dx = dy * function.slope::<S>(kept);
        }
    }
}

/// The slices of one call: what was kept, and the gradients.
pub(super) struct Slices<'a> {
    pub(super) kept: &'a [f32],
    pub(super) dy: &'a [f32],
    pub(super) dx: &'a mut [f32],
}

/// Runs `$body`, an expression in the kept value and the named parameters, for each value.
macro_rules! each {
    ($isa:expr, $slices:expr, |$kept:ident, $s:ident $(, $parameter:ident)*| $body:expr) => {{
        #[derive(Clone, Copy)]
        struct Function { $($parameter: f32),* }
        impl Slope for Function {
            #[inline(always)]
            fn slope<$s: Simd>(self, $kept: f32) -> f32 {
                let Function { $($parameter),* } = self;
                $body
            }
        }
        let Slices { kept, dy, dx } = $slices;
        $isa.run(Each { kept, dy, dx, function: Function { $($parameter),* } })
    }};
}

/// 1 or 0.
#[inline(always)]
fn one_if(condition: bool) -> f32 {
    if condition { 1.0 } else { 0.0 }
}

/// From the result alone.
pub(super) fn from_output(activation: Activation, isa: Isa, slices: Slices<'_>) {
    match activation {
        Activation::Relu => each!(isa, slices, |y, S| one_if(y > 0.0)),
        Activation::Relu6 => each!(isa, slices, |y, S| one_if((y > 0.0) & (y < 6.0))),
        Activation::LeakyRelu { negative_slope } => {
            each!(isa, slices, |y, S, negative_slope| if y > 0.0 { 1.0 } else { negative_slope })
        }
        Activation::BoundedRelu { negative_slope, max_value, .. } => {
            // At 0 Keras's `relu` is `leaky_relu`, whose slope there is that below, except with a
            // largest value, where it is the difference of two `relu`s.
            let (max_value, at_zero) = match max_value {
                Some(max_value) => (max_value, 0.0),
                None => (f32::INFINITY, negative_slope),
            };
            each!(isa, slices, |y, S, negative_slope, max_value, at_zero| {
                let below = if y < 0.0 { negative_slope } else { at_zero };
                if y > 0.0 { one_if((y < max_value) | (max_value == f32::INFINITY)) } else { below }
            })
        }
        Activation::Celu { alpha } => each!(isa, slices, |y, S, alpha| {
            // At 0 the two halves of TensorFlow's sum each give 1.
            let at_zero = if y == 0.0 { 2.0 } else { y / alpha + 1.0 };
            if y > 0.0 { 1.0 } else { at_zero }
        }),
        Activation::Elu { alpha } => {
            each!(isa, slices, |y, S, alpha| if y > 0.0 { 1.0 } else { y + alpha })
        }
        Activation::Selu => each!(isa, slices, |y, S| {
            let tail = y + (SELU_SCALE * SELU_ALPHA) as f32;
            if y < 0.0 { tail } else { SELU_SCALE as f32 }
        }),
        Activation::Softplus => {
            each!(isa, slices, |y, S| -math::exp_m1_negative::<S>(-y))
        }
        Activation::LogSigmoid => each!(isa, slices, |y, S| -math::exp_m1_negative::<S>(y)),
        Activation::Softsign => each!(isa, slices, |y, S| (1.0 - y.abs()) * (1.0 - y.abs())),
        Activation::Squareplus { b } => each!(isa, slices, |y, S, b| {
            // √(x² + b) is y + b / 4y.
            let slope = 1.0 / (1.0 + 0.25 * b / y / y);
            if b == 0.0 { one_if(y > 0.0) } else { slope }
        }),
        Activation::Tanh => each!(isa, slices, |y, S| (1.0 - y) * (1.0 + y)),
        Activation::Sigmoid => each!(isa, slices, |y, S| y * (1.0 - y)),
        Activation::Exponential => each!(isa, slices, |y, S| y),
        _ => from_output_piecewise(activation, isa, slices),
    }
}

/// Activations made of straight lines and parabolas.
fn from_output_piecewise(activation: Activation, isa: Isa, slices: Slices<'_>) {
    match activation {
        Activation::SoftShrink { .. } | Activation::HardShrink { .. } => {
            each!(isa, slices, |y, S| one_if((y > 0.0) | (y < 0.0)))
        }
        Activation::SparsePlus => {
            each!(isa, slices, |y, S| if y >= 1.0 { 1.0 } else { y.sqrt() })
        }
        Activation::SparseSigmoid => {
            each!(isa, slices, |y, S| 0.5 * one_if((y > 0.0) & (y < 1.0)))
        }
        Activation::HardSigmoid => {
            each!(isa, slices, |y, S| (1.0 / 6.0) * one_if((y > 0.0) & (y < 1.0)))
        }
        Activation::Threshold { threshold, .. } => {
            each!(isa, slices, |y, S, threshold| one_if(y > threshold))
        }
        // Linear; everything else has had its arm or needs its argument.
        _ => slices.dx.copy_from_slice(slices.dy),
    }
}

/// From the argument.
pub(super) fn from_input(activation: Activation, isa: Isa, slices: Slices<'_>) {
    match activation {
        Activation::Silu => each!(isa, slices, |x, S| {
            let (up, down) = sigmoids::<S>(x);
            up * (1.0 + within(x, 100.0) * down)
        }),
        Activation::Gelu { approximate: false } => {
            each!(isa, slices, |x, S| math::gelu_slope64::<S>(f64::from(x)) as f32)
        }
        Activation::Gelu { approximate: true } => each!(isa, slices, |x, S| {
            // Beyond, the sigmoid is 0 or 1 to the last bit.
            let x = within(x, 12.0);
            let scale = math::GELU_TANH_SCALE as f32;
            let (up, down) = sigmoids::<S>(scale * (x + 0.044_715 * x * x * x));
            up * (1.0 + x * down * (scale * (1.0 + 3.0 * 0.044_715 * x * x)))
        }),
        Activation::Mish => each!(isa, slices, |x, S| {
            let (tanh, rest) = tanh_of_softplus::<S>(x);
            tanh + within(x, 100.0) * sigmoids::<S>(x).0 * rest
        }),
        Activation::TanhShrink => each!(isa, slices, |x, S| {
            let tanh = math::tanh::<S>(x);
            tanh * tanh
        }),
        Activation::Celu { alpha } => each!(isa, slices, |x, S, alpha| {
            let tail = math::exp::<S>(x / alpha);
            let tail = if x == 0.0 { 2.0 } else { tail };
            if x > 0.0 { 1.0 } else { tail }
        }),
        Activation::Elu { alpha } => each!(isa, slices, |x, S, alpha| {
            let tail = alpha * math::exp::<S>(x);
            if x > 0.0 { 1.0 } else { tail }
        }),
        _ => from_input_piecewise(activation, isa, slices),
    }
}

/// Activations made of straight lines and parabolas.
fn from_input_piecewise(activation: Activation, isa: Isa, slices: Slices<'_>) {
    match activation {
        Activation::HardSilu => each!(isa, slices, |x, S| {
            let inside = x * (1.0 / 3.0) + 0.5;
            let above = if x >= 3.0 { 1.0 } else { inside };
            if x <= -3.0 { 0.0 } else { above }
        }),
        Activation::LegacyHardSigmoid => {
            each!(isa, slices, |x, S| 0.2 * one_if(x.abs() <= 2.5))
        }
        Activation::HardTanh => each!(isa, slices, |x, S| one_if(x.abs() <= 1.0)),
        Activation::HardShrink { threshold } => {
            each!(isa, slices, |x, S, threshold| one_if(x.abs() > threshold))
        }
        Activation::Threshold { threshold, .. } => {
            each!(isa, slices, |x, S, threshold| one_if(x > threshold))
        }
        Activation::LeakyRelu { negative_slope } => {
            each!(isa, slices, |x, S, negative_slope| if x > 0.0 { 1.0 } else { negative_slope })
        }
        Activation::BoundedRelu { negative_slope, max_value, threshold } => {
            let at_threshold =
                if max_value.is_none() && threshold == 0.0 { negative_slope } else { 0.0 };
            // `relu6`, whose slope at 6 is 0; `clip` has 1 at its ends.
            let six = threshold == 0.0 && max_value == Some(6.0);
            let max_value = max_value.unwrap_or(f32::INFINITY);
            let max_value = if six { max_value.next_down() } else { max_value };
            each!(isa, slices, |x, S, negative_slope, max_value, threshold, at_threshold| {
                let below = if x < threshold { negative_slope } else { at_threshold };
                if x > threshold { one_if((x >= 0.0) & (x <= max_value)) } else { below }
            })
        }
        _ => from_output(activation, isa, slices),
    }
}

/// σ(x) and σ(-x), each with all its digits.
#[inline(always)]
fn sigmoids<S: Simd>(x: f32) -> (f32, f32) {
    let z = math::exp::<S>(-x.abs());
    let large = 1.0 / (1.0 + z);
    let small = z * large;
    if x < 0.0 { (small, large) } else { (large, small) }
}

/// x within ±limit, so that its product with a tail of 0 is no NaN; NaN stays.
#[inline(always)]
fn within(x: f32, limit: f32) -> f32 {
    let x = if x > limit { limit } else { x };
    if x < -limit { -limit } else { x }
}

/// t = tanh(ln(1 + exp(x))) and 1 - t², which with t = n / (n + r) is r (r + 2n) / (n + r)²; see
/// [`math::mish64`] for n and r.
#[inline(always)]
fn tanh_of_softplus<S: Simd>(x: f32) -> (f32, f32) {
    let e = math::exp::<S>(-x.abs());
    let (below, above) = (e * (e + 2.0), 1.0 + 2.0 * e);
    let n = if x < 0.0 { below } else { above };
    let r = if x < 0.0 { 2.0 } else { 2.0 * e * e };
    let sum = 1.0 / (n + r);
    (n * sum, (r * sum) * ((r + 2.0 * n) * sum))
}

/// The activations that work on rows. `kept` is the argument for GLU and sparsemax, else the
/// result.
pub(super) fn rows(activation: Activation, isa: Isa, slices: Slices<'_>, width: usize) {
    isa.run(Rows { activation, slices, width });
}

struct Rows<'a> {
    activation: Activation,
    slices: Slices<'a>,
    width: usize,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let Slices { kept, dy, dx } = self.slices;
        let widths = self.activation.output_width(self.width);
        let lines = dx.chunks_exact_mut(self.width).zip(dy.chunks_exact(widths));
        for ((dx, dy), kept) in lines.zip(kept.chunks_exact(self.width)) {
            match self.activation {
                Activation::Softmax => softmax_row(kept, dy, dx),
                Activation::LogSoftmax => log_softmax_row::<S>(kept, dy, dx),
                Activation::Glu => glu_row::<S>(kept, dy, dx),
                _ => sparsemax_row(kept, dy, dx),
            }
        }
    }
}

/// `dx = y (dy - Σ y dy)`.
#[inline(always)]
pub(crate) fn softmax_row(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
        *dx = y * dy;
    }
    let sum = crate::lanes::sum_by(dx, |product| product);
    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
        *dx = y * (dy - sum);
    }
}

/// `dx = dy - exp(y) Σ dy`.
#[inline(always)]
pub(crate) fn log_softmax_row<S: Simd>(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    let sum = crate::lanes::sum_by(dy, |dy| dy);
    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
        *dx = dy - math::exp::<S>(y) * sum;
    }
}

/// `y = a σ(b)`: the gradients of a and b side by side, as they stand in x.
#[inline(always)]
fn glu_row<S: Simd>(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let half = dy.len();
    let ((a, b), (da, db)) = (x.split_at(half), dx.split_at_mut(half));
    for (((da, db), &dy), (&a, &b)) in da.iter_mut().zip(db).zip(dy).zip(a.iter().zip(b)) {
        let (up, down) = sigmoids::<S>(b);
        *da = dy * up;
        *db = dy * a * up * down;
    }
}

/// The gradient of `max(x - τ, 0)`, in which a tie counts as above 0. With Keras's τ, the sum of
/// all partial sums of the support less 1, over its size k, the value of rank r (from 0) has a part
/// (k - r) / k in τ. The support is that of the forward form.
fn sparsemax_row(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let inside = super::cpu::sparsemax_support(x);
    let threshold = super::cpu::partial_sums_threshold(x, inside) as f32;
    let belongs = |x: f32| f64::from(x) > inside || x.is_nan();
    let size = x.iter().filter(|&&x| belongs(x)).count();
    let passes = |x: f32| x - threshold >= 0.0;
    let sum: f32 = x.iter().zip(dy).map(|(&x, &dy)| if passes(x) { dy } else { 0.0 }).sum();
    for (index, (dx, (&value, &dy))) in dx.iter_mut().zip(x.iter().zip(dy)).enumerate() {
        let part = if belongs(value) {
            let before = |&(other, &y): &(usize, &f32)| y > value || (y == value && other < index);
            let rank = x.iter().enumerate().filter(before).count();
            size.saturating_sub(rank) as f32 / size.max(1) as f32
        } else {
            0.0
        };
        let own = if passes(value) { dy } else { 0.0 };
        *dx = own - sum * part;
    }
}
