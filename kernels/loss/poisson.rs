//! The Poisson loss.

use super::EPSILON;
use super::cpu::PointLoss;
use crate::isa::Simd;

/// `p - y ln(p + ε)`; derivative `1 - y / (p + ε)`.
#[derive(Clone, Copy)]
pub(super) struct Poisson;

impl PointLoss for Poisson {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        y_pred - y_true * (y_pred + EPSILON).ln()
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        1.0 - y_true / (y_pred + EPSILON)
    }
}
