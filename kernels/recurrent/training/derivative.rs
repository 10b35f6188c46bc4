//! Gradients of activations, from the value before (`x`) or the value behind (`y`) the activation.
//!
//! What training keeps of a gate is decided by [`from_output`]: its activated value where the
//! derivative follows from that, else its value before the activation.

use crate::activation::{Activation, SELU_ALPHA, SELU_SCALE, reference as activations};
use crate::isa::Simd;
use crate::real::Real;

/// Whether the gradient follows from the activated value alone, so that `x` is not looked at.
pub(crate) fn from_output(activation: Activation) -> bool {
    matches!(
        activation,
        Activation::Linear
            | Activation::Relu
            | Activation::Tanh
            | Activation::Sigmoid
            | Activation::Exponential
            | Activation::Softmax
            | Activation::LogSoftmax
    )
}

/// The gradient of `x` for one row `y = activation(x)`: writes `dy` times the Jacobian to `dx`. All
/// rows have the width of the activation's row; `x` counts unless [`from_output`].
#[inline(always)]
pub(crate) fn derivative<S: Simd>(
    activation: Activation,
    x: &[f32],
    y: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    match activation {
        Activation::Linear => dx.copy_from_slice(dy),
        Activation::Tanh => each::<S>(y, dy, dx, |y, dy| dy * S::fma(-y, y, 1.0)),
        Activation::Sigmoid => each::<S>(y, dy, dx, |y, dy| dy * (y * (1.0 - y))),
        Activation::Relu => each::<S>(y, dy, dx, |y, dy| if y > 0.0 { dy } else { 0.0 }),
        _ => other(activation, x, y, dy, dx),
    }
}

/// `dx = f(y, dy)`, in vectors as long as they go.
#[inline(always)]
fn each<S: Simd>(y: &[f32], dy: &[f32], dx: &mut [f32], f: impl Fn(f32, f32) -> f32) {
    super::chunks!(S, dx.len(), |at, count| {
        let (y, dy) = (&y[at..][..count], &dy[at..][..count]);
        let dx = &mut dx[at..][..count];
        for lane in 0..count {
            dx[lane] = f(y[lane], dy[lane]);
        }
    });
}

/// The activations that models seldom have in a recurrent layer, in `f64`.
#[inline(never)]
fn other(activation: Activation, x: &[f32], y: &[f32], dy: &[f32], dx: &mut [f32]) {
    let wide = |values: &[f32], index: usize| f64::from(values[index]);
    match activation {
        Activation::Softmax => {
            let sum: f64 = (0..y.len()).map(|i| wide(y, i) * wide(dy, i)).sum();
            for (i, dx) in dx.iter_mut().enumerate() {
                *dx = (wide(y, i) * (wide(dy, i) - sum)) as f32;
            }
        }
        Activation::LogSoftmax => {
            let sum: f64 = (0..y.len()).map(|i| wide(dy, i)).sum();
            for (i, dx) in dx.iter_mut().enumerate() {
                *dx = (wide(dy, i) - wide(y, i).exp() * sum) as f32;
            }
        }
        Activation::Sparsemax => sparsemax(x, y, dy, |index, value: f64| dx[index] = value as f32),
        Activation::Exponential => {
            for (dx, (&y, &dy)) in dx.iter_mut().zip(y.iter().zip(dy)) {
                *dx = y * dy;
            }
        }
        _ => {
            for (dx, (&x, &dy)) in dx.iter_mut().zip(x.iter().zip(dy)) {
                *dx = (slope(activation, f64::from(x)) * f64::from(dy)) as f32;
            }
        }
    }
}

/// The gradient of one row as defined, from `x` alone.
pub(crate) fn reference<T: Real>(activation: Activation, x: &[T], dy: &[T]) -> Vec<T> {
    let y = activations::apply_rows(activation, x, x.len());
    match activation {
        Activation::Softmax => {
            let sum: T = y.iter().zip(dy).map(|(&y, &dy)| y * dy).sum();
            y.iter().zip(dy).map(|(&y, &dy)| y * (dy - sum)).collect()
        }
        Activation::LogSoftmax => {
            let sum: T = dy.iter().copied().sum();
            y.iter().zip(dy).map(|(&y, &dy)| dy - y.exp() * sum).collect()
        }
        Activation::Sparsemax => {
            let mut dx = vec![T::zero(); x.len()];
            sparsemax(x, &y, dy, |index, value| dx[index] = T::from_f64(value));
            dx
        }
        _ => x.iter().zip(dy).map(|(&x, &dy)| slope(activation, x) * dy).collect(),
    }
}

/// `y = max(x - τ, 0)` with Keras's τ: the sum of the partial sums over the support of `k` values in
/// falling order, less 1, over `k`. So the value of rank `r` has dτ/dx = (k - r) / k.
fn sparsemax<T: Real>(x: &[T], y: &[T], dy: &[T], mut put: impl FnMut(usize, f64)) {
    let value = |index: usize| x[index].to_f64();
    // The rank of a value; equal ones rank by position.
    let before = |a: usize, b: usize| value(a) > value(b) || (value(a) == value(b) && a < b);
    let rank = |index: usize| (0..x.len()).filter(|&other| before(other, index)).count();
    let sum_to = |index: usize| -> f64 {
        let above = (0..x.len()).filter(|&other| other == index || before(other, index));
        above.map(value).sum()
    };
    let inside = |index: usize| 1.0 + (rank(index) + 1) as f64 * value(index) > sum_to(index);
    let support = (0..x.len()).filter(|&index| inside(index)).count();
    let total: f64 =
        y.iter().zip(dy).filter(|(y, _)| y.to_f64() > 0.0).map(|(_, dy)| dy.to_f64()).sum();
    for index in 0..x.len() {
        let own = if y[index].to_f64() > 0.0 { dy[index].to_f64() } else { 0.0 };
        let shared = support.saturating_sub(rank(index)) as f64 / support.max(1) as f64;
        put(index, own - total * shared);
    }
}

/// The derivative of an element-wise activation at `x`; 0 where a flat part begins.
fn slope<T: Real>(activation: Activation, x: T) -> T {
    let c = T::from_f64;
    let f = |value: f32| T::from_f64(f64::from(value));
    let (zero, one) = (T::zero(), T::one());
    let step = |inside: bool, slope: T| if inside { slope } else { zero };
    let sigmoid = activations::sigmoid::<T>;
    match activation {
        Activation::Relu => step(x > zero, one),
        Activation::BoundedRelu { negative_slope, max_value, threshold } => {
            if x > f(threshold) {
                step(x > zero && x < f(max_value.unwrap_or(f32::INFINITY)), one)
            } else {
                step(x < f(threshold), f(negative_slope))
            }
        }
        Activation::LeakyRelu { negative_slope } if x <= zero => f(negative_slope),
        Activation::Relu6 => step(x > zero && x < c(6.0), one),
        Activation::Celu { alpha } if x < zero => (x / f(alpha)).exp(),
        Activation::Elu { alpha } if x < zero => f(alpha) * x.exp(),
        Activation::Selu if x < zero => c(SELU_SCALE * SELU_ALPHA) * x.exp(),
        Activation::Selu => c(SELU_SCALE),
        Activation::Softplus => sigmoid(x),
        Activation::Softsign => one / ((one + x.abs()) * (one + x.abs())),
        Activation::Squareplus { b } => (one + x / (x * x + f(b)).sqrt()) / c(2.0),
        Activation::SoftShrink { threshold } | Activation::HardShrink { threshold } => {
            step(x.abs() > f(threshold), one)
        }
        Activation::SparsePlus if x < one => step(x > -one, (x + one) / c(2.0)),
        Activation::SparseSigmoid => step(x.abs() < one, c(0.5)),
        Activation::Silu => sigmoid(x) * (one + x * (one - sigmoid(x))),
        Activation::Gelu { approximate: false } => {
            let below = (one + activations::erf(x * c(std::f64::consts::FRAC_1_SQRT_2))) / c(2.0);
            below + x * (x * x / c(-2.0)).exp() * c(0.398_942_280_401_432_7)
        }
        Activation::Gelu { approximate: true } => {
            // 2 √(2/π).
            let scale = c(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::SQRT_2);
            let cubic = c(0.044715);
            let s = sigmoid(scale * (x + cubic * x * x * x));
            s + x * s * (one - s) * scale * (one + c(3.0) * cubic * x * x)
        }
        Activation::Tanh => one - x.tanh() * x.tanh(),
        Activation::TanhShrink => x.tanh() * x.tanh(),
        Activation::Threshold { threshold, .. } => step(x > f(threshold), one),
        Activation::Sigmoid => sigmoid(x) * (one - sigmoid(x)),
        Activation::Exponential => x.exp(),
        Activation::HardSigmoid => step(x.abs() < c(3.0), one / c(6.0)),
        Activation::LegacyHardSigmoid => step(x.abs() < c(2.5), c(0.2)),
        Activation::HardSilu if x < c(3.0) => step(x > c(-3.0), (c(2.0) * x + c(3.0)) / c(6.0)),
        Activation::HardTanh => step(x.abs() < one, one),
        Activation::Mish => {
            let softplus = activations::element(Activation::Softplus, x).tanh();
            softplus + x * sigmoid(x) * (one - softplus * softplus)
        }
        Activation::LogSigmoid => sigmoid(-x),
        // The straight parts of those above, and what works on rows.
        _ => one,
    }
}
