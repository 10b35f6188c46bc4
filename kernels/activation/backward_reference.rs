//! The derivatives of the activations as defined, generic over the number type.

use super::math::GELU_TANH_SCALE;
use super::reference::{
    hard_sigmoid, log_softmax, normal_distribution, sigmoid, softmax, softplus,
};
use super::{Activation, SELU_ALPHA, SELU_SCALE};
use crate::real::Real;

/// The gradient of `x`, rows of `width` values, from that of the result, whose rows have
/// [`Activation::output_width`] values.
pub fn backward_rows<T: Real>(activation: Activation, x: &[T], dy: &[T], width: usize) -> Vec<T> {
    if activation.is_elementwise() {
        return x.iter().zip(dy).map(|(&x, &dy)| dy * derivative(activation, x)).collect();
    }
    let dy = dy.chunks(activation.output_width(width).max(1));
    let rows = x.chunks(width.max(1)).zip(dy);
    match activation {
        Activation::Glu => rows.flat_map(|(x, dy)| glu(x, dy)).collect(),
        Activation::Softmax => rows
            .flat_map(|(x, dy)| {
                let y = softmax(x);
                let sum: T = y.iter().zip(dy).map(|(&y, &dy)| y * dy).sum();
                y.into_iter().zip(dy).map(move |(y, &dy)| y * (dy - sum))
            })
            .collect(),
        Activation::LogSoftmax => rows
            .flat_map(|(x, dy)| {
                let sum: T = dy.iter().copied().sum();
                log_softmax(x).into_iter().zip(dy).map(move |(y, &dy)| dy - y.exp() * sum)
            })
            .collect(),
        _ => rows.flat_map(|(x, dy)| sparsemax(x, dy)).collect(),
    }
}

/// The derivative of an element-wise activation (1 for the row-wise ones); at kinks TensorFlow's.
pub fn derivative<T: Real>(activation: Activation, x: T) -> T {
    let c = T::from_f64;
    let f = |value: f32| T::from_f64(f64::from(value));
    let (zero, one) = (T::zero(), T::one());
    let one_if = |condition: bool| if condition { one } else { zero };
    match activation {
        Activation::Relu => one_if(x > zero),
        Activation::Relu6 => one_if(x > zero && x < c(6.0)),
        Activation::LeakyRelu { negative_slope } if x <= zero => f(negative_slope),
        Activation::BoundedRelu { negative_slope, max_value, threshold } => {
            bounded_relu(x, negative_slope, max_value, threshold)
        }
        Activation::Celu { .. } if x == zero => c(2.0),
        Activation::Celu { alpha } if x < zero => (x / f(alpha)).exp(),
        Activation::Elu { alpha } if x <= zero => f(alpha) * x.exp(),
        Activation::Selu if x < zero => c(SELU_SCALE * SELU_ALPHA) * x.exp(),
        Activation::Selu => c(SELU_SCALE),
        Activation::Softplus => sigmoid(x),
        Activation::Softsign => one / ((one + x.abs()) * (one + x.abs())),
        Activation::Squareplus { b: 0.0 } => one_if(x > zero),
        Activation::Squareplus { b } => (one + x / (x * x + f(b)).sqrt()) / c(2.0),
        Activation::SoftShrink { threshold } | Activation::HardShrink { threshold } => {
            one_if(x.abs() > f(threshold))
        }
        Activation::SparsePlus if x >= one => one,
        Activation::SparsePlus => ((x + one) / c(2.0)).at_least(zero),
        Activation::SparseSigmoid => c(0.5) * one_if(x > -one && x < one),
        Activation::HardSigmoid => one_if(x > c(-3.0) && x < c(3.0)) / c(6.0),
        Activation::LegacyHardSigmoid => one_if(x >= c(-2.5) && x <= c(2.5)) / c(5.0),
        Activation::HardTanh => one_if(x >= -one && x <= one),
        Activation::HardSilu => hard_sigmoid(x) + if x.abs() < c(3.0) { x / c(6.0) } else { zero },
        Activation::Threshold { threshold, .. } => one_if(x > f(threshold)),
        _ => smooth(activation, x),
    }
}

/// The derivatives without kinks.
fn smooth<T: Real>(activation: Activation, x: T) -> T {
    let (one, c) = (T::one(), T::from_f64);
    match activation {
        Activation::Silu => sigmoid(x) * (one + x * sigmoid(-x)),
        Activation::Gelu { approximate: false } => {
            normal_distribution(x) + x * (x * x / c(-2.0)).exp() * c(0.398_942_280_401_432_7)
        }
        Activation::Gelu { approximate: true } => {
            let inner = c(GELU_TANH_SCALE) * (x + c(0.044715) * x * x * x);
            let slope = c(GELU_TANH_SCALE) * (one + c(3.0 * 0.044715) * x * x);
            sigmoid(inner) * (one + x * slope * sigmoid(-inner))
        }
        Activation::Mish => {
            let tanh = softplus(x).tanh();
            tanh + x * sigmoid(x) * (one - tanh) * (one + tanh)
        }
        Activation::Tanh => (one - x.tanh()) * (one + x.tanh()),
        Activation::TanhShrink => x.tanh() * x.tanh(),
        Activation::Sigmoid => sigmoid(x) * sigmoid(-x),
        Activation::Exponential => x.exp(),
        Activation::LogSigmoid => sigmoid(-x),
        // Linear, and what is linear above a kink.
        _ => one,
    }
}

/// Keras composes its `relu` of `leaky_relu`, of `relu6`, or of `relu`, `where` and `clip`; each
/// has a gradient of its own where they bend.
fn bounded_relu<T: Real>(x: T, negative_slope: f32, max_value: Option<f32>, threshold: f32) -> T {
    let f = |value: f32| T::from_f64(f64::from(value));
    let leaky = threshold == 0.0 && max_value.is_none();
    if x < f(threshold) || (leaky && x == T::zero()) {
        return f(negative_slope);
    }
    let below_the_largest = match max_value {
        Some(6.0) if threshold == 0.0 => x < f(6.0),
        Some(largest) => x <= f(largest),
        None => true,
    };
    let passes = x > f(threshold) && x >= T::zero() && below_the_largest;
    if passes { T::one() } else { T::zero() }
}

fn glu<T: Real>(x: &[T], dy: &[T]) -> Vec<T> {
    let (a, b) = x.split_at(x.len() / 2);
    let da = dy.iter().zip(b).map(|(&dy, &b)| dy * sigmoid(b));
    let slope = |b: T| sigmoid(b) * sigmoid(-b);
    let db = dy.iter().zip(a).zip(b).map(|((&dy, &a), &b)| dy * a * slope(b));
    da.chain(db).collect()
}

/// The gradient through Keras's threshold; see [`Activation::Sparsemax`].
fn sparsemax<T: Real>(x: &[T], dy: &[T]) -> Vec<T> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[b].to_f64().total_cmp(&x[a].to_f64()));
    let (mut sum, mut sums, mut size) = (T::zero(), T::zero(), 0);
    for (index, &at) in order.iter().enumerate() {
        sum += x[at];
        if x[at] > (sum - T::one()) / T::from_f64((index + 1) as f64) {
            sums += sum;
            size = index + 1;
        }
    }
    let count = T::from_f64(size as f64);
    let threshold = (sums - T::one()) / count;
    let own = |i: usize| if x[i] - threshold >= T::zero() { dy[i] } else { T::zero() };
    let total: T = (0..x.len()).map(own).sum();
    let mut dx: Vec<T> = (0..x.len()).map(own).collect();
    for (rank, &at) in order.iter().enumerate().take(size) {
        dx[at] = dx[at] - total * T::from_f64((size - rank) as f64) / count;
    }
    dx
}
