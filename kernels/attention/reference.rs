//! The plain definition, in `f64`.

use super::{AttentionCall, AttentionShape, MaskedRow, Row};

/// The output and the weights, in `f64`.
///
/// Masked scores are left out of the softmax. Keras replaces them by a large negative number,
/// whose exponential is 0, so that both are one.
pub fn forward(call: &AttentionCall) -> (Vec<f64>, Vec<f64>) {
    let AttentionShape { batch, queries, heads, value_dim, keys, .. } = call.shape;
    let mut output = vec![0.0; batch * queries * heads * value_dim];
    let mut scores = Vec::new();
    for b in 0..batch {
        for h in 0..heads {
            for q in 0..queries {
                let weights = weights(call, b, h, q);
                let at = ((b * queries + q) * heads + h) * value_dim;
                for (k, weight) in weights.iter().enumerate().take(keys) {
                    let value = &call.value[kv_row(call, b, h, k) * value_dim..];
                    for d in 0..value_dim {
                        output[at + d] += weight * f64::from(value[d]);
                    }
                }
                scores.extend(weights);
            }
        }
    }
    (output, scores)
}

/// Which row of the keys or values head `h` reads at position `k`.
fn kv_row(call: &AttentionCall, b: usize, h: usize, k: usize) -> usize {
    let AttentionShape { keys, heads, kv_heads, .. } = call.shape;
    (b * keys + k) * kv_heads + h / (heads / kv_heads)
}

fn at<T: Copy>(row: Row<T>, k: usize) -> T {
    match row {
        Row::One(&value) => value,
        Row::Each(values) => values[k],
    }
}

/// The weights of one query.
fn weights(call: &AttentionCall, b: usize, h: usize, q: usize) -> Vec<f64> {
    let AttentionShape { queries, keys, heads, dim, .. } = call.shape;
    let query = &call.query[((b * queries + q) * heads + h) * dim..][..dim];
    let score = |k: usize| -> f64 {
        let key = &call.key[kv_row(call, b, h, k) * dim..][..dim];
        let product: f64 = query.iter().zip(key).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum();
        let bias = call.bias.map_or(0.0, |bias| at(bias.row(b, h, q, keys), k));
        let open = call.mask.is_none_or(|mask| at(mask.row(b, h, q, keys), k) != 0);
        let near = call.sliding_window.is_none_or(|window| q.abs_diff(k) < window);
        if open && near && (!call.causal || k <= q) {
            product * f64::from(call.scale) + f64::from(bias)
        } else {
            f64::NEG_INFINITY
        }
    };
    let scores: Vec<f64> = (0..keys).map(score).collect();
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        let weight = match call.masked_row {
            MaskedRow::Uniform => 1.0 / keys as f64,
            MaskedRow::Zero => 0.0,
            MaskedRow::Nan => f64::NAN,
        };
        return vec![weight; keys];
    }
    let powers: Vec<f64> = scores.iter().map(|score| (score - max).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
