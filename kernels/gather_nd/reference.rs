//! The plain definition, element by element.

use super::GatherNdCall;
use crate::layout::Index;

/// The slices, `[batch, count, inner]`; every position must be on its axis.
pub fn gather_nd<T: Copy, I: Index>(call: GatherNdCall<T, I>) -> Vec<T> {
    let GatherNdCall { x, indices, batch, sizes, inner } = call;
    let count = indices.len() / sizes.len().max(1) / batch.max(1);
    let mut out = Vec::new();
    for row in 0..batch {
        for slice in 0..count {
            let tuple = &indices[(row * count + slice) * sizes.len()..][..sizes.len()];
            for element in 0..inner {
                let mut at = row;
                for (index, &size) in tuple.iter().zip(sizes) {
                    at = at * size + index.widen().rem_euclid(size as i64) as usize;
                }
                out.push(x[at * inner + element]);
            }
        }
    }
    out
}
