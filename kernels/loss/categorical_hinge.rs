//! The categorical hinge loss.

use super::cpu::RowLoss;
use crate::isa::Simd;
use crate::lanes;

/// `max(max((1 - y) p) - Σ y p + 1, 0)`. Classes that tie for the inner maximum share its
/// gradient evenly; at the kink of the outer one the gradient passes.
#[derive(Clone, Copy)]
pub(super) struct CategoricalHinge;

/// The loss before the outer maximum, and the inner one.
#[inline(always)]
fn margin(y_true: &[f32], y_pred: &[f32]) -> (f32, f32) {
    let (mut positive, mut negative) = (0.0, f32::NEG_INFINITY);
    for (&y, &p) in y_true.iter().zip(y_pred) {
        positive += y * p;
        negative = lanes::larger(negative, (1.0 - y) * p);
    }
    (negative - positive + 1.0, negative)
}

impl RowLoss for CategoricalHinge {
    #[inline(always)]
    fn loss<S: Simd>(self, y_true: &[f32], y_pred: &[f32]) -> f32 {
        let (margin, _) = margin(y_true, y_pred);
        if margin < 0.0 { 0.0 } else { margin }
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, y_true: &[f32], y_pred: &[f32], upstream: f32, out: &mut [f32]) {
        let (margin, negative) = margin(y_true, y_pred);
        if margin < 0.0 {
            out.fill(0.0);
            return;
        }
        let is_largest = |y: f32, p: f32| (1.0 - y) * p == negative;
        let ties = y_true.iter().zip(y_pred).filter(|&(&y, &p)| is_largest(y, p)).count();
        for ((out, &y), &p) in out.iter_mut().zip(y_true).zip(y_pred) {
            let share = if is_largest(y, p) { (1.0 - y) / ties as f32 } else { 0.0 };
            *out = upstream * (share - y);
        }
    }
}
