//! The plain definition, in `f64`.

use super::{Form, SoftmaxCall};

/// `exp(x) / Σ exp(x)` along the axis, or its logarithm, in `f64`.
pub fn forward(call: SoftmaxCall) -> Vec<f64> {
    let SoftmaxCall { x, mask, outer, axis, inner, form } = call;
    let mut out = vec![0.0; x.len()];
    for row in 0..outer * inner {
        let at = |i: usize| (row / inner * axis + i) * inner + row % inner;
        let kept: Vec<usize> =
            (0..axis).map(at).filter(|&i| mask.is_none_or(|mask| mask[i] != 0)).collect();
        let max = kept.iter().map(|&i| f64::from(x[i])).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = kept.iter().map(|&i| (f64::from(x[i]) - max).exp()).sum();
        for i in kept {
            let shifted = f64::from(x[i]) - max;
            out[i] = match form {
                Form::Probability => shifted.exp() / sum,
                Form::Logarithm => shifted - sum.ln(),
            };
        }
    }
    out
}
