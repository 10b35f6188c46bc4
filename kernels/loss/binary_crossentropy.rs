//! Binary crossentropy, from logits and from probabilities.

use super::cpu::PointLoss;
use super::{EPSILON, LARGEST_PROBABILITY};
use crate::activation::math;
use crate::isa::Simd;

/// `max(x, 0) - x y + ln(1 + exp(-|x|))`, which neither overflows nor cancels; derivative
/// `sigmoid(x) - y`. TensorFlow's `sigmoid_cross_entropy_with_logits`.
#[derive(Clone, Copy)]
pub(super) struct BinaryFromLogits {
    pub(super) label_smoothing: f32,
}

/// The logarithms of the clipped probabilities; derivative 0 outside the clip.
#[derive(Clone, Copy)]
pub(super) struct BinaryFromProbabilities {
    pub(super) label_smoothing: f32,
}

#[inline(always)]
fn smooth(y: f32, smoothing: f32) -> f32 {
    if smoothing == 0.0 { y } else { y * (1.0 - smoothing) + 0.5 * smoothing }
}

impl PointLoss for BinaryFromLogits {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let y = smooth(y_true, self.label_smoothing);
        let tail = math::ln_1p64::<S>(f64::from(math::exp::<S>(-y_pred.abs()))) as f32;
        let positive = if y_pred < 0.0 { 0.0 } else { y_pred };
        positive - y_pred * y + tail
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        math::sigmoid::<S>(y_pred) - smooth(y_true, self.label_smoothing)
    }
}

impl PointLoss for BinaryFromProbabilities {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let y = smooth(y_true, self.label_smoothing);
        let p = clip(y_pred);
        -(y * p.ln() + (1.0 - y) * (1.0 - p).ln())
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let y = smooth(y_true, self.label_smoothing);
        let p = clip(y_pred);
        let slope = (1.0 - y) / (1.0 - p) - y / p;
        if is_clipped(y_pred) { 0.0 } else { slope }
    }
}

/// A probability inside the clip; NaN stays NaN.
#[inline(always)]
pub(super) fn clip(p: f32) -> f32 {
    let p = if p < EPSILON { EPSILON } else { p };
    if p > LARGEST_PROBABILITY { LARGEST_PROBABILITY } else { p }
}

/// Whether [`clip`] changes a probability: TensorFlow passes gradients at the bounds themselves.
#[inline(always)]
#[allow(clippy::manual_range_contains, reason = "NaN is not clipped")]
pub(super) fn is_clipped(p: f32) -> bool {
    (p < EPSILON) | (p > LARGEST_PROBABILITY)
}
