//! Mean squared logarithmic error.

use super::EPSILON;
use super::cpu::PointLoss;
use crate::isa::Simd;

/// `(ln(max(p, ε) + 1) - ln(max(y, ε) + 1))²`; a prediction below ε has no gradient.
#[derive(Clone, Copy)]
pub(super) struct MeanSquaredLogarithmicError;

#[inline(always)]
fn at_least_epsilon(x: f32) -> f32 {
    if x < EPSILON { EPSILON } else { x }
}

/// The logarithms' difference.
#[inline(always)]
fn difference(y: f32, p: f32) -> f32 {
    (at_least_epsilon(p) + 1.0).ln() - (at_least_epsilon(y) + 1.0).ln()
}

impl PointLoss for MeanSquaredLogarithmicError {
    #[inline(always)]
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let difference = difference(y_true, y_pred);
        difference * difference
    }

    #[inline(always)]
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32 {
        let slope = 2.0 * difference(y_true, y_pred) / (at_least_epsilon(y_pred) + 1.0);
        if y_pred < EPSILON { 0.0 } else { slope }
    }
}
