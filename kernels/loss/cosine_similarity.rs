//! The cosine similarity, negated so that smaller is better.

use super::EPSILON;
use super::cpu::RowLoss;
use crate::isa::Simd;
use crate::lanes;

/// `-Σ y p / (|y| |p|)`, where `1 / |·|` is at most `1 / ε` (Keras's `ops.normalize`).
///
/// Where Keras's gradient is NaN, at predictions that are all 0, this gives the gradient of the
/// bounded form, `-y / (|y| ε)`.
#[derive(Clone, Copy)]
pub(super) struct CosineSimilarity;

/// `1 / |x|` at most `1 / ε`, and whether it is bounded.
#[inline(always)]
fn inverse_norm(x: &[f32]) -> (f32, bool) {
    let inverse = 1.0 / lanes::sum_by(x, |v| v * v).sqrt();
    if inverse > 1.0 / EPSILON { (1.0 / EPSILON, true) } else { (inverse, false) }
}

impl RowLoss for CosineSimilarity {
    #[inline(always)]
    fn loss<S: Simd>(self, y_true: &[f32], y_pred: &[f32]) -> f32 {
        let ((y_scale, _), (p_scale, _)) = (inverse_norm(y_true), inverse_norm(y_pred));
        let mut sum = 0.0;
        for (&y, &p) in y_true.iter().zip(y_pred) {
            sum += (y * y_scale) * (p * p_scale);
        }
        -sum
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, y_true: &[f32], y_pred: &[f32], upstream: f32, out: &mut [f32]) {
        let ((y_scale, _), (p_scale, bounded)) = (inverse_norm(y_true), inverse_norm(y_pred));
        let cosine = if bounded { 0.0 } else { -self.loss::<S>(y_true, y_pred) };
        for ((out, &y), &p) in out.iter_mut().zip(y_true).zip(y_pred) {
            *out = -upstream * p_scale * (y * y_scale - cosine * (p * p_scale));
        }
    }
}
