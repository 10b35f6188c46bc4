//! The plain definition.

use super::{AttentionCall, AttentionShape, LOWERED_BY, MaskedRow, Row};
use crate::Real;

/// The output and the weights of inputs of type `T`, computed in `R`.
///
/// Masked scores are left out of the softmax. Keras replaces them by a large negative number,
/// whose exponential is 0, so that both are one.
pub fn forward<T: Real, R: Real>(call: &AttentionCall<T>) -> (Vec<R>, Vec<R>) {
    let AttentionShape { batch, queries, heads, value_dim, keys, .. } = call.shape;
    let mut output = vec![R::zero(); batch * queries * heads * value_dim];
    let mut scores = Vec::new();
    for b in 0..batch {
        for h in 0..heads {
            for q in 0..queries {
                let weights: Vec<R> = weights(call, b, h, q);
                let at = ((b * queries + q) * heads + h) * value_dim;
                for (k, &weight) in weights.iter().enumerate().take(keys) {
                    let value = &call.value[kv_row(call, b, h, k) * value_dim..];
                    for d in 0..value_dim {
                        output[at + d] += weight * convert(value[d]);
                    }
                }
                scores.extend(weights);
            }
        }
    }
    (output, scores)
}

/// Which row of the keys or values head `h` reads at position `k`.
pub(super) fn kv_row<T>(call: &AttentionCall<T>, b: usize, h: usize, k: usize) -> usize {
    let AttentionShape { keys, heads, kv_heads, .. } = call.shape;
    (b * keys + k) * kv_heads + h / (heads / kv_heads)
}

fn at<T: Copy>(row: Row<T>, k: usize) -> T {
    match row {
        Row::One(&value) => value,
        Row::Each(values) => values[k],
    }
}

pub(super) fn convert<T: Real, R: Real>(value: T) -> R {
    R::from_f64(value.to_f64())
}

/// The weights of one query.
fn weights<T: Real, R: Real>(call: &AttentionCall<T>, b: usize, h: usize, q: usize) -> Vec<R> {
    let AttentionShape { queries, keys, heads, dim, .. } = call.shape;
    let query = &call.query[((b * queries + q) * heads + h) * dim..][..dim];
    let score = |k: usize| -> R {
        let key = &call.key[kv_row(call, b, h, k) * dim..][..dim];
        let product: R =
            query.iter().zip(key).map(|(&x, &y)| convert::<T, R>(x) * convert(y)).sum();
        let bias = call.bias.map_or(T::zero(), |bias| at(bias.row(b, h, q, keys), k));
        let open = call.mask.is_none_or(|mask| at(mask.row(b, h, q, keys), k) != 0);
        let near = call.sliding_window.is_none_or(|window| q.abs_diff(k) < window);
        let score = product * convert(call.scale) + convert(bias);
        match near && (!call.causal || k <= q) {
            true if open => score,
            // The rounding is part of the definition.
            true if call.masked_row == MaskedRow::Lowered => {
                R::from_f64(f64::from(score.to_f64() as f32 - LOWERED_BY))
            }
            _ => R::from_f64(f64::NEG_INFINITY),
        }
    };
    let scores: Vec<R> = (0..keys).map(score).collect();
    let max = scores.iter().copied().fold(R::from_f64(f64::NEG_INFINITY), R::at_least);
    if max.to_f64() == f64::NEG_INFINITY {
        let weight = match call.masked_row {
            MaskedRow::Uniform | MaskedRow::Lowered => R::from_f64(1.0 / keys as f64),
            MaskedRow::Zero => R::zero(),
            MaskedRow::Nan => R::from_f64(f64::NAN),
        };
        return vec![weight; keys];
    }
    let powers: Vec<R> = scores.iter().map(|&score| (score - max).exp()).collect();
    let sum: R = powers.iter().copied().sum();
    powers.iter().map(|&power| power / sum).collect()
}
