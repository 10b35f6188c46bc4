//! Categorical crossentropy, from logits and from probabilities.

use super::binary_crossentropy::{clip, is_clipped};
use super::cpu::RowLoss;
use crate::isa::Simd;
use crate::lanes;

/// `Σ y (ln Σ exp(x) - x)`; gradient `softmax(x) - y`, as the kernel of TensorFlow's
/// `softmax_cross_entropy_with_logits` computes it (exact where the targets sum to 1).
#[derive(Clone, Copy)]
pub(super) struct CategoricalFromLogits {
    pub(super) label_smoothing: f32,
}

/// `-Σ y ln clip(p / Σp)`.
#[derive(Clone, Copy)]
pub(super) struct CategoricalFromProbabilities {
    pub(super) label_smoothing: f32,
}

/// The targets as smoothing leaves them.
#[inline(always)]
fn smooth(y: f32, smoothing: f32, classes: usize) -> f32 {
    if smoothing == 0.0 { y } else { y * (1.0 - smoothing) + smoothing / classes as f32 }
}

/// `(max, Σ exp(x - max))` of a row of logits.
#[inline(always)]
pub(super) fn log_sum_parts<S: Simd>(logits: &[f32]) -> (f32, f32) {
    let max = lanes::max(logits);
    let mut partial = [0.0f32; lanes::LANES];
    for chunk in logits.chunks(lanes::LANES) {
        for (lane, &x) in partial.iter_mut().zip(chunk) {
            *lane += lanes::exp::<S>(x - max);
        }
    }
    (max, lanes::sum_by(&partial, |v| v))
}

impl RowLoss for CategoricalFromLogits {
    #[inline(always)]
    fn loss<S: Simd>(self, y_true: &[f32], y_pred: &[f32]) -> f32 {
        let (max, sum) = log_sum_parts::<S>(y_pred);
        let log = sum.ln();
        let mut loss = 0.0;
        for (&y, &x) in y_true.iter().zip(y_pred) {
            loss += smooth(y, self.label_smoothing, y_pred.len()) * (log - (x - max));
        }
        loss
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, y_true: &[f32], y_pred: &[f32], upstream: f32, out: &mut [f32]) {
        let (max, sum) = log_sum_parts::<S>(y_pred);
        let classes = y_pred.len();
        for ((out, &y), &x) in out.iter_mut().zip(y_true).zip(y_pred) {
            let y = smooth(y, self.label_smoothing, classes);
            *out = upstream * (lanes::exp::<S>(x - max) / sum - y);
        }
    }
}

impl RowLoss for CategoricalFromProbabilities {
    #[inline(always)]
    fn loss<S: Simd>(self, y_true: &[f32], y_pred: &[f32]) -> f32 {
        let total = lanes::sum_by(y_pred, |p| p);
        let mut loss = 0.0;
        for (&y, &p) in y_true.iter().zip(y_pred) {
            loss += smooth(y, self.label_smoothing, y_pred.len()) * clip(p / total).ln();
        }
        -loss
    }

    /// With `o = p / Σp` and `g = -y / o` inside the clip: `(g - Σ g o) / Σp`.
    #[inline(always)]
    fn gradient<S: Simd>(self, y_true: &[f32], y_pred: &[f32], upstream: f32, out: &mut [f32]) {
        let total = lanes::sum_by(y_pred, |p| p);
        let mut along = 0.0;
        for ((out, &y), &p) in out.iter_mut().zip(y_true).zip(y_pred) {
            let (y, o) = (smooth(y, self.label_smoothing, y_pred.len()), p / total);
            *out = if is_clipped(o) { 0.0 } else { -y / o };
            along += *out * o;
        }
        let scale = upstream / total;
        out.iter_mut().for_each(|out| *out = (*out - along) * scale);
    }
}
