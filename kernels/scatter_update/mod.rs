//! A tensor with some of its elements replaced by, or combined with, others.
//!
//! Updates are applied in their order on one thread, so that results are the same every time.

pub mod reference;
#[cfg(test)]
mod tests;

use crate::gather_nd::locate;
use crate::layout::{Index, IndexOutOfRange, MAX_RANK, resolve};

/// Where updates go in a tensor of shape `shape`: element `p` of `indices` (of shape `indices_shape`) and
/// of the updates goes to the position of `p`, but along `axis` to where the index says.
#[derive(Clone, Copy, Debug)]
pub struct ElementsCall<'a, I> {
    /// The shape of the tensor.
    pub shape: &'a [usize],
    /// The positions along the axis; negative ones count from the end.
    pub indices: &'a [I],
    /// Their shape, nowhere larger than the tensor but along the axis.
    pub indices_shape: &'a [usize],
    /// The axis.
    pub axis: usize,
}

/// Changes elements of `out` to what `combine` makes of them and the updates.
///
/// # Errors
/// The first index outside the axis; what stands in front of it has been written.
///
/// # Panics
/// If a length or shape does not fit.
pub fn scatter_elements<T: Copy, I: Index>(
    call: ElementsCall<I>,
    updates: &[T],
    out: &mut [T],
    combine: impl Fn(T, T) -> T,
) -> Result<(), IndexOutOfRange> {
    let ElementsCall { shape, indices, indices_shape, axis } = call;
    let rank = shape.len();
    assert!(rank <= MAX_RANK && indices_shape.len() == rank && axis < rank, "scatter: ranks");
    assert_eq!(updates.len(), indices.len(), "scatter: one update an index");
    assert_eq!(out.len(), shape.iter().product(), "scatter: the output's length");
    let fits = (0..rank).all(|at| at == axis || indices_shape[at] <= shape[at]);
    assert!(fits, "scatter: the shape of the indices");
    for (position, (&index, &update)) in indices.iter().zip(updates).enumerate() {
        let (mut rest, mut at, mut stride) = (position, 0, 1);
        for place in (0..rank).rev() {
            let own = rest % indices_shape[place];
            rest /= indices_shape[place];
            let own = if place == axis { resolve(position, index, shape[axis])? } else { own };
            at += own * stride;
            stride *= shape[place];
        }
        out[at] = combine(out[at], update);
    }
    Ok(())
}

/// Changes slices of `out`, `[sizes…, inner]`: the tuple `indices[n]` of positions names the slice that
/// `updates[n]`, of `inner` elements, goes to.
///
/// # Errors
/// The first position outside its axis; what stands in front of it has been written.
///
/// # Panics
/// If a length does not fit.
pub fn scatter_nd<T: Copy, I: Index>(
    indices: &[I],
    sizes: &[usize],
    updates: &[T],
    out: &mut [T],
    combine: impl Fn(T, T) -> T,
) -> Result<(), IndexOutOfRange> {
    let (slices, depth) = (sizes.iter().product::<usize>(), sizes.len());
    if out.is_empty() || updates.is_empty() {
        return Ok(());
    }
    let inner = out.len() / slices;
    assert_eq!(out.len(), slices * inner, "scatter_nd: the output's length");
    let count = updates.len() / inner;
    assert_eq!(updates.len(), count * inner, "scatter_nd: the updates' length");
    assert_eq!(indices.len(), count * depth, "scatter_nd: the indices' length");
    for (slice, updates) in updates.chunks_exact(inner).enumerate() {
        let tuple = &indices[slice * depth..(slice + 1) * depth];
        let at = locate(tuple, sizes, slice * depth)? * inner;
        for (value, &update) in out[at..at + inner].iter_mut().zip(updates) {
            *value = combine(*value, update);
        }
    }
    Ok(())
}
