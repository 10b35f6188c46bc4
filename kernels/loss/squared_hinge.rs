//! The squared hinge loss.

use super::cpu::PointLoss;
use super::hinge::Labels;
use crate::isa::Simd;

/// `max(1 - y p, 0)²`; derivative `-2 y max(1 - y p, 0)`.
#[derive(Clone, Copy)]
pub(super) struct SquaredHinge(pub(super) Labels);

impl PointLoss for SquaredHinge {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let margin = 1.0 - self.0.read(y_true) * y_pred;
        if margin < 0.0 { 0.0 } else { margin * margin }
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let y = self.0.read(y_true);
        let margin = 1.0 - y * y_pred;
        if margin < 0.0 { 0.0 } else { -2.0 * margin * y }
    }
}
