//! Mean squared error.

use super::cpu::PointLoss;
use crate::isa::Simd;

/// `(y - p)²`; derivative `2 (p - y)`.
#[derive(Clone, Copy)]
pub(super) struct MeanSquaredError;

impl PointLoss for MeanSquaredError {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        (y_true - y_pred) * (y_true - y_pred)
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        2.0 * (y_pred - y_true)
    }
}
