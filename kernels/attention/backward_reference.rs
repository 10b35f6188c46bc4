//! The plain definition in training: dropout on the weights, and the gradients.

use super::reference::{convert, forward, kv_row};
use super::{AttentionCall, AttentionGradient, AttentionShape};
use crate::Real;

/// The output, the weights, and the weights after dropout, which multiplies them with `factors`
/// (`[batch, heads, queries, keys]`; 1 if absent).
pub fn forward_training<T: Real, R: Real>(
    call: &AttentionCall<T>,
    factors: Option<&[R]>,
) -> [Vec<R>; 3] {
    let AttentionShape { batch, queries, heads, value_dim, keys, .. } = call.shape;
    let (_, weights) = forward::<T, R>(call);
    let dropped: Vec<R> = weights.iter().enumerate().map(|(i, &w)| drop(w, factors, i)).collect();
    let mut output = vec![R::zero(); batch * queries * heads * value_dim];
    for_each_score(&call.shape, |b, h, q, k| {
        let at = ((b * queries + q) * heads + h) * value_dim;
        let weight = dropped[((b * heads + h) * queries + q) * keys + k];
        let value = &call.value[kv_row(call, b, h, k) * value_dim..];
        for d in 0..value_dim {
            output[at + d] += weight * convert(value[d]);
        }
    });
    [output, weights, dropped]
}

/// A value times its factor; what is dropped is 0 whatever it was.
fn drop<R: Real>(value: R, factors: Option<&[R]>, index: usize) -> R {
    match factors.map(|factors| factors[index]) {
        Some(factor) if factor == R::zero() => factor,
        Some(factor) => value * factor,
        None => value,
    }
}

/// Calls `f` with batch, head, query and key of each score, in the order of `[batch, heads,
/// queries, keys]`.
fn for_each_score(shape: &AttentionShape, mut f: impl FnMut(usize, usize, usize, usize)) {
    for b in 0..shape.batch {
        for h in 0..shape.heads {
            for q in 0..shape.queries {
                for k in 0..shape.keys {
                    f(b, h, q, k);
                }
            }
        }
    }
}

/// The gradients of queries, keys, values and scores; see [`backward`](super::backward). The
/// dropout is given by its `factors`, and the gradient's own is not read.
pub fn backward<T: Real, R: Real>(
    gradient: &AttentionGradient<T>,
    factors: Option<&[R]>,
) -> [Vec<R>; 4] {
    let AttentionGradient { call, weights, doutput, dweights, ddropped, .. } = gradient;
    let AttentionShape { batch, queries, keys, heads, kv_heads, dim, value_dim } = call.shape;
    let optional = |values: &Option<&[T]>, i: usize| {
        values.map_or(R::zero(), |values: &[T]| convert(values[i]))
    };
    let index = |b: usize, h: usize, q: usize, k: usize| ((b * heads + h) * queries + q) * keys + k;
    let query_row = |b: usize, h: usize, q: usize| (b * queries + q) * heads + h;
    let mut dquery = vec![R::zero(); batch * queries * heads * dim];
    let mut dkey = vec![R::zero(); batch * keys * kv_heads * dim];
    let mut dvalue = vec![R::zero(); batch * keys * kv_heads * value_dim];
    // First of the weights.
    let mut dscores = vec![R::zero(); batch * heads * queries * keys];
    for_each_score(&call.shape, |b, h, q, k| {
        let i = index(b, h, q, k);
        let dropped = drop(convert(weights[i]), factors, i);
        let mut sum = optional(ddropped, i);
        for d in 0..value_dim {
            let value = kv_row(call, b, h, k) * value_dim + d;
            let dy: R = convert(doutput[query_row(b, h, q) * value_dim + d]);
            sum += dy * convert(call.value[value]);
            dvalue[value] += dy * dropped;
        }
        dscores[i] = drop(sum, factors, i) + optional(dweights, i);
    });
    for (row, dscores) in dscores.chunks_exact_mut(keys.max(1)).enumerate() {
        let weights = &weights[row * keys..(row + 1) * keys];
        let weights: Vec<R> = weights.iter().map(|&weight| convert(weight)).collect();
        let sum: R = weights.iter().zip(&*dscores).map(|(&weight, &d)| weight * d).sum();
        let (b, h, q) = (row / queries / heads, row / queries % heads, row % queries);
        let ruled = call.leaves_no_key(b, h, q);
        for (d, &weight) in dscores.iter_mut().zip(&weights) {
            *d = if ruled { R::zero() } else { weight * (*d - sum) };
        }
    }
    for_each_score(&call.shape, |b, h, q, k| {
        let by_product = dscores[index(b, h, q, k)] * convert(call.scale);
        for d in 0..dim {
            let (query, key) = (query_row(b, h, q) * dim + d, kv_row(call, b, h, k) * dim + d);
            dquery[query] += by_product * convert(call.key[key]);
            dkey[key] += by_product * convert(call.query[query]);
        }
    });
    [dquery, dkey, dvalue, dscores]
}
