//! Slices of a tensor by a list of positions for each.

pub mod reference;
#[cfg(test)]
mod tests;

use crate::layout::{Index, IndexOutOfRange, resolve};
use crate::{Cpu, DisjointMut};

/// Elements that one block copies, roughly.
const BLOCK: usize = 16 * 1024;

/// What [`gather_nd`] reads: `x` is `[batch, sizes…, inner]`, `indices` `[batch, count, sizes.len()]`.
#[derive(Clone, Copy, Debug)]
pub struct GatherNdCall<'a, T, I> {
    /// The tensor.
    pub x: &'a [T],
    /// The positions of each slice; negative ones count from the end.
    pub indices: &'a [I],
    /// The product of the sizes of the batch axes.
    pub batch: usize,
    /// The sizes of the axes that the positions name.
    pub sizes: &'a [usize],
    /// The product of the sizes of the others, the length of a slice.
    pub inner: usize,
}

/// The slice that a tuple of positions names; `first` is where the tuple stands.
///
/// # Errors
/// If a position is outside its axis.
pub(crate) fn locate<I: Index>(
    tuple: &[I],
    sizes: &[usize],
    first: usize,
) -> Result<usize, IndexOutOfRange> {
    let pairs = tuple.iter().zip(sizes).enumerate();
    let mut at = 0;
    for (place, (&index, &size)) in pairs {
        at = at * size + resolve(first + place, index, size)?;
    }
    Ok(at)
}

/// Writes the slices, `[batch, count, inner]`.
///
/// # Errors
/// The first position outside its axis; nothing is written then.
///
/// # Panics
/// If a length does not fit.
pub fn gather_nd<T: Copy + Send + Sync, I: Index>(
    cpu: Cpu,
    call: GatherNdCall<T, I>,
    out: &mut [T],
) -> Result<(), IndexOutOfRange> {
    let GatherNdCall { x, indices, batch, sizes, inner } = call;
    let block: usize = sizes.iter().product();
    let depth = sizes.len();
    assert_eq!(x.len(), batch * block * inner, "gather_nd: the input's length");
    if out.is_empty() {
        return Ok(());
    }
    let slices = out.len() / inner;
    assert_eq!(out.len(), slices * inner, "gather_nd: the output's length");
    assert_eq!(indices.len(), slices * depth, "gather_nd: the indices' length");
    assert_eq!(slices % batch, 0, "gather_nd: the batch");
    let tuple = |slice: usize| &indices[slice * depth..(slice + 1) * depth];
    for slice in 0..slices {
        locate(tuple(slice), sizes, slice * depth)?;
    }
    let count = slices / batch;
    let group = (BLOCK / inner).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(slices.div_ceil(group), &|part| {
        for slice in part * group..slices.min((part + 1) * group) {
            let Ok(at) = locate(tuple(slice), sizes, 0) else { continue };
            // SAFETY: one block visits each slice, once.
            let to = unsafe { parts.slice(slice * inner..(slice + 1) * inner) };
            let from = (slice / count * block + at) * inner;
            to.copy_from_slice(&x[from..from + inner]);
        }
    });
    Ok(())
}
