//! Mean absolute error.

use super::cpu::PointLoss;
use crate::isa::Simd;

/// `|y - p|`; derivative `sign(p - y)`, 0 at 0.
#[derive(Clone, Copy)]
pub(super) struct MeanAbsoluteError;

/// -1, 0 or 1; NaN for NaN, as in TensorFlow.
#[inline(always)]
pub(super) fn sign(x: f32) -> f32 {
    let sign = if x > 0.0 { 1.0 } else { -1.0 };
    if (x == 0.0) | x.is_nan() { x } else { sign }
}

impl PointLoss for MeanAbsoluteError {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        (y_true - y_pred).abs()
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        sign(y_pred - y_true)
    }
}
