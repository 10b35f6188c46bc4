//! The activations as defined, generic over the number type.

use super::Activation;
use super::math::GELU_TANH_SCALE;
use crate::real::Real;

/// Applies an activation to `rows` of `width` values each; the result's rows have
/// [`Activation::output_width`] values.
pub fn apply_rows<T: Real>(activation: Activation, data: &[T], width: usize) -> Vec<T> {
    if activation.is_elementwise() {
        return data.iter().map(|&x| element(activation, x)).collect();
    }
    let rows = data.chunks(width.max(1));
    match activation {
        Activation::Glu => rows.flat_map(glu).collect(),
        Activation::Softmax => rows.flat_map(softmax).collect(),
        Activation::LogSoftmax => rows.flat_map(log_softmax).collect(),
        _ => rows.flat_map(sparsemax).collect(),
    }
}

/// One value through an element-wise activation (row-wise ones leave it as it is).
pub fn element<T: Real>(activation: Activation, x: T) -> T {
    let c = T::from_f64;
    let f = |value: f32| T::from_f64(f64::from(value));
    let (zero, one) = (T::zero(), T::one());
    match activation {
        Activation::Relu => x.at_least(zero),
        Activation::BoundedRelu { negative_slope, max_value, threshold } => {
            let (slope, threshold) = (f(negative_slope), f(threshold));
            if x > threshold {
                x.at_least(zero).at_most(f(max_value.unwrap_or(f32::INFINITY)))
            } else if negative_slope == 0.0 {
                zero_or_nan(x)
            } else {
                slope * (x - threshold)
            }
        }
        Activation::LeakyRelu { negative_slope } => {
            if x < zero {
                f(negative_slope) * x
            } else {
                x
            }
        }
        Activation::Relu6 => x.at_least(zero).at_most(c(6.0)),
        Activation::Celu { alpha } if x < zero => f(alpha) * (x / f(alpha)).exp_m1(),
        Activation::Elu { alpha } if x < zero => f(alpha) * x.exp_m1(),
        Activation::Selu if x < zero => c(super::SELU_SCALE * super::SELU_ALPHA) * x.exp_m1(),
        Activation::Selu => c(super::SELU_SCALE) * x,
        Activation::Softplus => softplus(x),
        Activation::Softsign if x.abs().to_f64().is_infinite() => {
            if x < zero {
                -one
            } else {
                one
            }
        }
        Activation::Softsign => x / (one + x.abs()),
        Activation::Squareplus { b } => {
            let root = (x * x + f(b)).sqrt();
            if x < zero { f(b) / (c(2.0) * (root - x)) } else { (x + root) / c(2.0) }
        }
        Activation::SoftShrink { threshold } => shrink(x, f(threshold), f(threshold)),
        Activation::HardShrink { threshold } => shrink(x, f(threshold), zero),
        Activation::SparsePlus if x >= one => x,
        Activation::SparsePlus => {
            let y = (x + one).at_least(zero);
            y * y / c(4.0)
        }
        Activation::SparseSigmoid => ((x + one) / c(2.0)).at_least(zero).at_most(one),
        Activation::Silu => tail(x, sigmoid(x)),
        Activation::Gelu { approximate: false } => tail(x, normal_distribution(x)),
        Activation::Gelu { approximate: true } => {
            tail(x, sigmoid(c(GELU_TANH_SCALE) * (x + c(0.044715) * x * x * x)))
        }
        Activation::Tanh => x.tanh(),
        Activation::TanhShrink => tanh_shrink(x),
        Activation::Threshold { threshold, value } => {
            if x > f(threshold) || x.to_f64().is_nan() {
                x
            } else {
                f(value)
            }
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::Exponential => x.exp(),
        Activation::HardSigmoid => hard_sigmoid(x),
        Activation::LegacyHardSigmoid => ((x + c(2.5)) / c(5.0)).at_least(zero).at_most(one),
        Activation::HardSilu => tail(x, hard_sigmoid(x)),
        Activation::HardTanh => x.at_least(-one).at_most(one),
        Activation::Mish => tail(x, softplus(x).tanh()),
        Activation::LogSigmoid => -softplus(-x),
        Activation::Linear
        | Activation::Celu { .. }
        | Activation::Elu { .. }
        | Activation::Softmax
        | Activation::LogSoftmax
        | Activation::Sparsemax
        | Activation::Glu => x,
    }
}

/// `x * gate`, with the limit 0 at -inf, where the gate is 0.
fn tail<T: Real>(x: T, gate: T) -> T {
    if gate == T::zero() { -T::zero() } else { x * gate }
}

fn shrink<T: Real>(x: T, threshold: T, by: T) -> T {
    if x > threshold {
        x - by
    } else if x < -threshold {
        x + by
    } else {
        zero_or_nan(x)
    }
}

fn zero_or_nan<T: Real>(x: T) -> T {
    if x.to_f64().is_nan() { x } else { T::zero() }
}

/// 1 / (1 + exp(-x)).
pub fn sigmoid<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

pub(super) fn hard_sigmoid<T: Real>(x: T) -> T {
    (x + T::from_f64(3.0)).at_least(T::zero()).at_most(T::from_f64(6.0)) / T::from_f64(6.0)
}

pub(super) fn softplus<T: Real>(x: T) -> T {
    x.at_least(T::zero()) + (-x.abs()).exp().ln_1p()
}

/// x - tanh(x), near 0 by the Taylor series x³/3 - 2x⁵/15 + 17x⁷/315 - 62x⁹/2835 + ….
fn tanh_shrink<T: Real>(x: T) -> T {
    if x.abs() < T::from_f64(0.05) {
        let y = x * x;
        let terms = [1382.0 / 155_925.0, -62.0 / 2835.0, 17.0 / 315.0, -2.0 / 15.0, 1.0 / 3.0];
        let sum = terms.into_iter().fold(T::zero(), |sum, term| sum * y + T::from_f64(term));
        x * y * sum
    } else {
        x - x.tanh()
    }
}

/// Φ(x) = erfc(-x/√2) / 2: the series x + x³/3 + x⁵/15 + … times the density near 0, Laplace's
/// continued fraction 1/(u + 1/(u + 2/(u + …))) in the tails (Abramowitz and Stegun
/// 26.2.11 and 26.2.14). The series keeps 13 digits down to Φ(-3) = 1.3e-3.
pub(super) fn normal_distribution<T: Real>(x: T) -> T {
    let c = T::from_f64;
    let u = x.abs();
    if u.to_f64().is_nan() {
        return x;
    }
    let density = (u * u / c(-2.0)).exp() * c(0.398_942_280_401_432_7);
    if u < c(3.0) {
        let (mut term, mut sum) = (x, x);
        for k in 1..60 {
            term = term * x * x / c(f64::from(2 * k + 1));
            sum += term;
        }
        return c(0.5) + density * sum;
    }
    let fraction = (1..120).rev().fold(u, |sum, k| u + c(f64::from(k)) / sum);
    let tail = if density == T::zero() { density } else { density / fraction };
    if x < T::zero() { tail } else { T::one() - tail }
}

/// The error function, 1 - 2 Φ(-√2 |x|) with the sign of x.
pub fn erf<T: Real>(x: T) -> T {
    let c = T::from_f64;
    let erf = c(1.0) - c(2.0) * normal_distribution(-x.abs() * c(std::f64::consts::SQRT_2));
    if x < T::zero() { -erf } else { erf }
}

fn glu<T: Real>(row: &[T]) -> Vec<T> {
    let (a, b) = row.split_at(row.len() / 2);
    a.iter().zip(b).map(|(&a, &b)| a * sigmoid(b)).collect()
}

fn maximum<T: Real>(row: &[T]) -> T {
    row.iter().fold(T::from_f64(f64::NEG_INFINITY), |max, &x| max.at_least(x))
}

pub(super) fn softmax<T: Real>(row: &[T]) -> Vec<T> {
    let max = maximum(row);
    let sum: T = row.iter().map(|&x| (x - max).exp()).sum();
    row.iter().map(|&x| (x - max).exp() / sum).collect()
}

pub(super) fn log_softmax<T: Real>(row: &[T]) -> Vec<T> {
    let max = maximum(row);
    let log: T = row.iter().map(|&x| (x - max).exp()).sum::<T>().ln();
    row.iter().map(|&x| x - max - log).collect()
}

/// The support of Martins and Astudillo 2016 (arXiv:1602.02068), algorithm 1, with the threshold
/// that Keras takes from it: where the paper has the sum of the `k` values of the support, Keras
/// 3.15 has the sum of all partial sums up to it. For `k = 1` they are the same.
fn sparsemax<T: Real>(row: &[T]) -> Vec<T> {
    let mut sorted = row.to_vec();
    sorted.sort_by(|a, b| b.to_f64().total_cmp(&a.to_f64()));
    let (mut sum, mut sums, mut threshold) = (T::zero(), T::zero(), T::zero());
    for (index, &x) in sorted.iter().enumerate() {
        let count = T::from_f64((index + 1) as f64);
        sum += x;
        if x > (sum - T::one()) / count {
            sums += sum;
            threshold = (sums - T::one()) / count;
        }
    }
    row.iter().map(|&x| (x - threshold).at_least(T::zero())).collect()
}
