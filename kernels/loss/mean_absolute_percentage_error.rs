//! Mean absolute percentage error.

use super::EPSILON;
use super::cpu::PointLoss;
use super::mean_absolute_error::sign;
use crate::isa::Simd;

/// `100 |y - p| / max(|y|, ε)`.
#[derive(Clone, Copy)]
pub(super) struct MeanAbsolutePercentageError;

/// What the difference is divided by.
#[inline(always)]
fn scale(y: f32) -> f32 {
    let y = y.abs();
    if y < EPSILON { EPSILON } else { y }
}

impl PointLoss for MeanAbsolutePercentageError {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        100.0 * ((y_true - y_pred) / scale(y_true)).abs()
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        100.0 * sign((y_pred - y_true) / scale(y_true)) / scale(y_true)
    }
}
