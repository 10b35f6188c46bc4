//! The plain definition.

use super::{Form, SoftmaxCall, SoftmaxGradient};
use crate::Real;

/// `exp(x) / Σ exp(x)` along the axis, or its logarithm, computed in `R`.
pub fn forward<T: Real, R: Real>(call: SoftmaxCall<T>) -> Vec<R> {
    let SoftmaxCall { x, mask, outer, axis, inner, form } = call;
    let convert = |value: T| R::from_f64(value.to_f64());
    let mut out = vec![R::zero(); x.len()];
    for row in 0..outer * inner {
        let at = |i: usize| (row / inner * axis + i) * inner + row % inner;
        let kept: Vec<usize> =
            (0..axis).map(at).filter(|&i| mask.is_none_or(|mask| mask[i] != 0)).collect();
        let max =
            kept.iter().map(|&i| convert(x[i])).fold(R::from_f64(f64::NEG_INFINITY), R::at_least);
        let sum: R = kept.iter().map(|&i| (convert(x[i]) - max).exp()).sum();
        for i in kept {
            let shifted = convert(x[i]) - max;
            out[i] = match form {
                Form::Probability => shifted.exp() / sum,
                Form::Logarithm => shifted - sum.ln(),
            };
        }
    }
    out
}

/// The gradient of the logits: `y (dy - Σ y dy)`, or `dy - exp(y) Σ dy` for the logarithm.
pub fn backward<T: Real, R: Real>(call: SoftmaxGradient<T>) -> Vec<R> {
    let SoftmaxGradient { y, dy, outer, axis, inner, form } = call;
    let convert = |value: T| R::from_f64(value.to_f64());
    let mut dx = vec![R::zero(); y.len()];
    for row in 0..outer * inner {
        let at = |i: usize| (row / inner * axis + i) * inner + row % inner;
        let sum: R = (0..axis)
            .map(at)
            .map(|i| match form {
                Form::Probability => convert(y[i]) * convert(dy[i]),
                Form::Logarithm => convert(dy[i]),
            })
            .sum();
        for i in (0..axis).map(at) {
            let (y, dy) = (convert(y[i]), convert(dy[i]));
            dx[i] = match form {
                Form::Probability => y * (dy - sum),
                Form::Logarithm => dy - y.exp() * sum,
            };
        }
    }
    dx
}
