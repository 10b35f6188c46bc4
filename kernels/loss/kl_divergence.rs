//! The Kullback-Leibler divergence.

use super::EPSILON;
use super::cpu::RowLoss;
use crate::isa::Simd;

/// `Σ y ln(y / p)`, both clipped to ε..=1; gradient `-y / p`, and 0 outside the clip.
#[derive(Clone, Copy)]
pub(super) struct KlDivergence;

#[inline(always)]
fn clip(x: f32) -> f32 {
    let x = if x < EPSILON { EPSILON } else { x };
    if x > 1.0 { 1.0 } else { x }
}

impl RowLoss for KlDivergence {
    #[inline(always)]
    fn loss<S: Simd>(self, y_true: &[f32], y_pred: &[f32]) -> f32 {
        let mut loss = 0.0;
        for (&y, &p) in y_true.iter().zip(y_pred) {
            loss += clip(y) * (clip(y) / clip(p)).ln();
        }
        loss
    }

    #[inline(always)]
    #[allow(clippy::manual_range_contains, reason = "NaN is not clipped")]
    fn gradient<S: Simd>(self, y_true: &[f32], y_pred: &[f32], upstream: f32, out: &mut [f32]) {
        for ((out, &y), &p) in out.iter_mut().zip(y_true).zip(y_pred) {
            let inside = !((p < EPSILON) | (p > 1.0));
            *out = if inside { -upstream * clip(y) / p } else { 0.0 };
        }
    }
}
