//! The hinge loss.

use super::cpu::PointLoss;
use crate::isa::Simd;

/// `max(1 - y p, 0)`; derivative `-y` up to and with the kink, as TensorFlow's `maximum` has it.
#[derive(Clone, Copy)]
pub(super) struct Hinge(pub(super) Labels);

/// How targets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labels {
    /// As they stand.
    Signed,
    /// 0 or 1, which stand for -1 and 1.
    Binary,
}

impl Labels {
    /// Binary if every target of the batch is 0 or 1.
    pub(super) fn of(y_true: &[f32]) -> Labels {
        let binary = y_true.iter().all(|&y| y == 0.0 || y == 1.0);
        if binary { Labels::Binary } else { Labels::Signed }
    }

    #[inline(always)]
    pub(super) fn read(self, y: f32) -> f32 {
        if self == Labels::Binary { 2.0 * y - 1.0 } else { y }
    }
}

impl PointLoss for Hinge {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let margin = 1.0 - self.0.read(y_true) * y_pred;
        if margin < 0.0 { 0.0 } else { margin }
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let y = self.0.read(y_true);
        if 1.0 - y * y_pred < 0.0 { 0.0 } else { -y }
    }
}
