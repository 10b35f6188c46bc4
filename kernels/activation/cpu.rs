//! The fast form: plain loops over lane functions, vectorised for each instruction set.

use super::{Activation, SELU_ALPHA, SELU_SCALE, math};
use crate::isa::{Isa, Kernel, Simd};

/// A function of one lane.
trait Lane: Copy {
    fn lane<S: Simd>(self, x: f32) -> f32;
}

struct Each<'a, F> {
    data: &'a mut [f32],
    function: F,
}

impl<F: Lane> Kernel for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let function = self.function;
        for value in self.data {
            *value = function.lane::<S>(*value);
        }
    }
}

/// Runs `$body`, an expression in `$x` and the named parameters, for each value.
macro_rules! each {
    ($isa:expr, $data:expr, |$x:ident, $s:ident $(, $parameter:ident)*| $body:expr) => {{
        #[derive(Clone, Copy)]
        struct Function { $($parameter: f32),* }
        impl Lane for Function {
            #[inline(always)]
            fn lane<$s: Simd>(self, $x: f32) -> f32 {
                let Function { $($parameter),* } = self;
                $body
            }
        }
        $isa.run(Each { data: $data, function: Function { $($parameter),* } })
    }};
}

/// The same through `f64`, rounded once.
macro_rules! each64 {
    ($isa:expr, $data:expr, $function:ident) => {
        each!($isa, $data, |x, S| math::$function::<S>(f64::from(x)) as f32)
    };
}

pub(super) fn apply(activation: Activation, isa: Isa, data: &mut [f32]) {
    match activation {
        Activation::Tanh => each!(isa, data, |x, S| math::tanh::<S>(x)),
        Activation::Sigmoid => each!(isa, data, |x, S| math::sigmoid::<S>(x)),
        Activation::Exponential => each!(isa, data, |x, S| math::exp::<S>(x)),
        Activation::Softplus => each64!(isa, data, softplus64),
        Activation::LogSigmoid => {
            each!(isa, data, |x, S| -math::softplus64::<S>(-f64::from(x)) as f32)
        }
        Activation::Silu => each64!(isa, data, silu64),
        Activation::Mish => each64!(isa, data, mish64),
        Activation::Gelu { approximate: false } => each64!(isa, data, gelu64),
        Activation::Gelu { approximate: true } => each64!(isa, data, gelu_tanh64),
        Activation::TanhShrink => each64!(isa, data, tanh_shrink64),
        Activation::Squareplus { b } => {
            each!(isa, data, |x, S, b| math::squareplus64(f64::from(x), f64::from(b)) as f32)
        }
        Activation::Celu { alpha } => each!(isa, data, |x, S, alpha| {
            let below = if x < 0.0 { x } else { 0.0 };
            let tail = alpha * math::exp_m1_negative::<S>(below / alpha);
            if x < 0.0 { tail } else { x }
        }),
        Activation::Elu { alpha } => each!(isa, data, |x, S, alpha| {
            let tail = alpha * math::exp_m1_negative::<S>(x);
            if x < 0.0 { tail } else { x }
        }),
        Activation::Selu => each!(isa, data, |x, S| {
            let tail = (SELU_SCALE * SELU_ALPHA) as f32 * math::exp_m1_negative::<S>(x);
            if x < 0.0 { tail } else { SELU_SCALE as f32 * x }
        }),
        _ => apply_piecewise(activation, isa, data),
    }
}

/// Activations made of straight lines, parabolas and quotients.
fn apply_piecewise(activation: Activation, isa: Isa, data: &mut [f32]) {
    match activation {
        Activation::Relu => each!(isa, data, |x, S| at_least(x, 0.0)),
        Activation::BoundedRelu { negative_slope, max_value, threshold } => {
            let max_value = max_value.unwrap_or(f32::INFINITY);
            each!(isa, data, |x, S, negative_slope, max_value, threshold| {
                let above = at_most(at_least(x, 0.0), max_value);
                let below = negative_slope * (x - threshold);
                // Without a slope the product keeps NaN, and -inf must not become one.
                let below = if negative_slope == 0.0 && !x.is_nan() { 0.0 } else { below };
                if x > threshold { above } else { below }
            })
        }
        Activation::LeakyRelu { negative_slope } => each!(isa, data, |x, S, negative_slope| {
            if x < 0.0 { negative_slope * x } else { x }
        }),
        Activation::Relu6 => each!(isa, data, |x, S| at_most(at_least(x, 0.0), 6.0)),
        Activation::Softsign => each!(isa, data, |x, S| {
            let x = at_most(at_least(x, f32::MIN), f32::MAX);
            x / (1.0 + x.abs())
        }),
        Activation::SoftShrink { threshold } => each!(isa, data, |x, S, threshold| {
            let inside = if x.is_nan() { x } else { 0.0 };
            let below = if x < -threshold { x + threshold } else { inside };
            if x > threshold { x - threshold } else { below }
        }),
        Activation::HardShrink { threshold } => {
            each!(isa, data, |x, S, threshold| if x.abs() <= threshold { 0.0 } else { x })
        }
        Activation::SparsePlus => each!(isa, data, |x, S| {
            let y = at_least(x + 1.0, 0.0);
            if x >= 1.0 { x } else { 0.25 * y * y }
        }),
        Activation::SparseSigmoid => {
            each!(isa, data, |x, S| at_most(at_least(0.5 * (x + 1.0), 0.0), 1.0))
        }
        Activation::Threshold { threshold, value } => {
            each!(isa, data, |x, S, threshold, value| if x <= threshold { value } else { x })
        }
        Activation::HardSigmoid => each!(isa, data, |x, S| hard_sigmoid(x)),
        Activation::LegacyHardSigmoid => {
            each!(isa, data, |x, S| at_most(at_least((x + 2.5) / 5.0, 0.0), 1.0))
        }
        Activation::HardSilu => {
            each!(isa, data, |x, S| at_least(x, -3.0) * hard_sigmoid(x))
        }
        Activation::HardTanh => each!(isa, data, |x, S| at_most(at_least(x, -1.0), 1.0)),
        // Linear; everything else has had its arm.
        _ => {}
    }
}

/// max(x, low) that keeps NaN.
#[inline(always)]
fn at_least(x: f32, low: f32) -> f32 {
    if x < low { low } else { x }
}

/// min(x, high) that keeps NaN.
#[inline(always)]
fn at_most(x: f32, high: f32) -> f32 {
    if x > high { high } else { x }
}

#[inline(always)]
fn hard_sigmoid(x: f32) -> f32 {
    at_most(at_least(x + 3.0, 0.0), 6.0) / 6.0
}

pub(super) fn apply_rows(activation: Activation, isa: Isa, data: &mut [f32], width: usize) {
    isa.run(Rows { activation, data, width });
}

struct Rows<'a> {
    activation: Activation,
    data: &'a mut [f32],
    width: usize,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let rows = self.data.chunks_exact_mut(self.width);
        match self.activation {
            Activation::Softmax => rows.for_each(|row| {
                let max = maximum(row);
                let scale = 1.0 / exp_sum::<S>(row, max);
                for x in row {
                    *x = (math::exp64::<S>(f64::from(*x) - max) * scale) as f32;
                }
            }),
            Activation::LogSoftmax => rows.for_each(|row| {
                let max = maximum(row);
                let log = exp_sum::<S>(row, max).ln();
                for x in row {
                    *x = (f64::from(*x) - max - log) as f32;
                }
            }),
            Activation::Sparsemax => rows.for_each(sparsemax),
            Activation::Glu => rows.for_each(|row| {
                let (a, b) = row.split_at_mut(row.len() / 2);
                for (a, b) in a.iter_mut().zip(b) {
                    *a *= math::sigmoid::<S>(*b);
                }
            }),
            _ => {}
        }
    }
}

/// Partial results that a row is folded into, so that the fold vectorises.
const FOLDS: usize = 16;

#[inline(always)]
fn maximum(row: &[f32]) -> f64 {
    let mut partial = [f32::NEG_INFINITY; FOLDS];
    let (chunks, rest) = row.as_chunks::<FOLDS>();
    for chunk in chunks {
        for (max, &x) in partial.iter_mut().zip(chunk) {
            *max = if x > *max { x } else { *max };
        }
    }
    f64::from(partial.iter().chain(rest).fold(f32::NEG_INFINITY, |max, &x| max.max(x)))
}

/// The sum of exp(x - max) over a row, in `f64`.
#[inline(always)]
fn exp_sum<S: Simd>(row: &[f32], max: f64) -> f64 {
    let mut partial = [0.0f64; FOLDS];
    let (chunks, rest) = row.as_chunks::<FOLDS>();
    for chunk in chunks {
        for (sum, &x) in partial.iter_mut().zip(chunk) {
            *sum += math::exp64::<S>(f64::from(x) - max);
        }
    }
    let rest: f64 = rest.iter().map(|&x| math::exp64::<S>(f64::from(x) - max)).sum();
    partial.iter().sum::<f64>() + rest
}

/// Keras's threshold (see the reference): the sum of all partial sums over the support in falling
/// order, less 1, over its size. The value of rank `r` of `k` is part of `k - r` partial sums.
#[inline(always)]
pub(super) fn partial_sums_threshold(row: &[f32], threshold: f64) -> f64 {
    let inside = |x: f32| f64::from(x) > threshold || x.is_nan();
    let support = row.iter().filter(|&&x| inside(x)).count();
    let mut sums = 0.0f64;
    for (index, &x) in row.iter().enumerate().filter(|&(_, &x)| inside(x)) {
        // Equal values rank by position; which of them comes first does not change the sum.
        let before = |(other, &y): (usize, &f32)| y > x || (y == x && other < index);
        let rank = row.iter().enumerate().filter(|&entry| before(entry)).count();
        sums += f64::from(x) * (support - rank.min(support)) as f64;
    }
    (sums - 1.0) / support.max(1) as f64
}

/// Michelot's algorithm: shrinks the support until no value in it lies below the threshold, and
/// gives the last one. It needs no sorting and so no memory; each round drops a value, most rounds
/// many.
#[inline(always)]
pub(super) fn sparsemax_support(row: &[f32]) -> f64 {
    let mut threshold = f64::NEG_INFINITY;
    let mut support = usize::MAX;
    loop {
        let (mut sum, mut count) = (0.0f64, 0usize);
        for &x in row {
            let x = f64::from(x);
            // A NaN stays in the support, and so reaches every result.
            let inside = x > threshold || x.is_nan();
            sum += if inside { x } else { 0.0 };
            count += usize::from(inside);
        }
        if count >= support || count == 0 {
            return threshold;
        }
        support = count;
        threshold = (sum - 1.0) / count as f64;
    }
}

#[inline(always)]
fn sparsemax(row: &mut [f32]) {
    let threshold = partial_sums_threshold(row, sparsemax_support(row));
    for x in row {
        let y = f64::from(*x) - threshold;
        *x = if y < 0.0 { 0.0 } else { y as f32 };
    }
}
