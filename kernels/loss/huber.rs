//! The Huber loss (Huber, 1964).

use super::cpu::PointLoss;
use super::mean_absolute_error::sign;
use crate::isa::Simd;

/// `e² / 2` for `|e| <= δ`, `δ |e| - δ² / 2` beyond; derivative `e`, and `±δ`.
#[derive(Clone, Copy)]
pub(super) struct Huber {
    pub(super) delta: f32,
}

impl PointLoss for Huber {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let (error, delta) = ((y_pred - y_true).abs(), self.delta);
        let linear = delta * error - 0.5 * (delta * delta);
        if error <= delta { 0.5 * (error * error) } else { linear }
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let (error, delta) = (y_pred - y_true, self.delta);
        if error.abs() <= delta { error } else { delta * sign(error) }
    }
}
