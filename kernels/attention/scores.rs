//! From products to weights, for one query.

use super::{AttentionCall, LOWERED_BY, MaskedRow, Row};
use crate::isa::Simd;
use crate::lanes;
use std::ops::Range;

/// Whose row of scores is worked on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) batch: usize,
    pub(super) head: usize,
    pub(super) query: usize,
}

/// What a row of weights turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weights {
    /// Zero outside the keys that were computed.
    Partial,
    /// A rule for wholly masked rows filled it.
    Filled,
}

/// Turns the products of a query with the keys in `computed` into weights; the rest of `row`
/// becomes 0, or what the rule for wholly masked rows says.
#[inline(always)]
pub(super) fn weigh<S: Simd>(
    call: &AttentionCall,
    place: Place,
    row: &mut [f32],
    computed: Range<usize>,
) -> Weights {
    let keys = call.shape.keys;
    let Place { batch, head, query } = place;
    let reach = call.reach(query);
    row[..reach.start].fill(0.0);
    row[reach.end..].fill(0.0);
    debug_assert!(reach.is_empty() || (computed.start <= reach.start && reach.end <= computed.end));
    let scores = &mut row[reach.clone()];
    match call.bias.map(|bias| bias.row(batch, head, query, keys)) {
        None => scores.iter_mut().for_each(|score| *score *= call.scale),
        Some(Row::One(&bias)) => {
            scores.iter_mut().for_each(|score| *score = S::fma(*score, call.scale, bias));
        }
        Some(Row::Each(bias)) => {
            for (score, &bias) in scores.iter_mut().zip(&bias[reach.clone()]) {
                *score = S::fma(*score, call.scale, bias);
            }
        }
    }
    let lowered = call.masked_row == MaskedRow::Lowered;
    let masked = |score: f32| if lowered { score - LOWERED_BY } else { f32::NEG_INFINITY };
    match call.mask.map(|mask| mask.row(batch, head, query, keys)) {
        Some(Row::One(0)) => scores.iter_mut().for_each(|score| *score = masked(*score)),
        Some(Row::Each(mask)) => {
            for (score, &open) in scores.iter_mut().zip(&mask[reach.clone()]) {
                *score = if open != 0 { *score } else { masked(*score) };
            }
        }
        _ => {}
    }
    let max = lanes::max(scores);
    if max == f32::NEG_INFINITY {
        row[..keys].fill(match call.masked_row {
            // Without a key in reach there is nothing to lower.
            MaskedRow::Uniform | MaskedRow::Lowered => 1.0 / keys as f32,
            MaskedRow::Zero => 0.0,
            MaskedRow::Nan => f32::NAN,
        });
        return Weights::Filled;
    }
    let scale = 1.0 / lanes::exp_sum::<S>(scores, max);
    scores.iter_mut().for_each(|score| *score *= scale);
    Weights::Partial
}
