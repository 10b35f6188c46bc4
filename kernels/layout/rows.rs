//! Operators that copy runs of elements: concatenation, padding, gathering, one-hot rows.

use super::{Index, MAX_RANK, element_count};
use crate::{Cpu, DisjointMut};
use std::fmt;

/// Elements that one block copies, roughly.
const BLOCK: usize = 16 * 1024;

/// An index that names no element of its axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOutOfRange {
    /// Where in the list of indices it stands.
    pub position: usize,
    /// The index itself.
    pub value: i64,
    /// The size of the axis that it should name an element of.
    pub size: usize,
}

impl fmt::Display for IndexOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IndexOutOfRange { position, value, size } = self;
        write!(f, "index {value} at position {position} is outside an axis of size {size}")
    }
}

impl std::error::Error for IndexOutOfRange {}

/// Joins tensors along an axis: `inputs` are pairs of values `[outer, size, inner]` and their
/// `size · inner`, `out` is `[outer, Σ size, inner]`.
///
/// # Panics
/// If a length does not fit.
pub fn concat<T: Copy + Send + Sync>(
    cpu: Cpu,
    inputs: &[(&[T], usize)],
    outer: usize,
    out: &mut [T],
) {
    let width: usize = inputs.iter().map(|&(_, run)| run).sum();
    assert_eq!(out.len(), outer * width, "concat: the output's length");
    for &(x, run) in inputs {
        assert_eq!(x.len(), outer * run, "concat: an input's length");
    }
    if out.is_empty() {
        return;
    }
    let group = (BLOCK / width).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(outer.div_ceil(group), &|block| {
        for row in block * group..outer.min((block + 1) * group) {
            // SAFETY: one block visits each row, once.
            let mut rest = unsafe { parts.slice(row * width..(row + 1) * width) };
            for &(x, run) in inputs {
                let (part, tail) = rest.split_at_mut(run);
                part.copy_from_slice(&x[row * run..(row + 1) * run]);
                rest = tail;
            }
        }
    });
}

/// What [`pad`] reads.
#[derive(Clone, Copy, Debug)]
pub struct PadCall<'a, T> {
    /// The tensor.
    pub x: &'a [T],
    /// Its shape.
    pub shape: &'a [usize],
    /// Elements added in front, one entry an axis.
    pub before: &'a [usize],
    /// Elements added behind, one entry an axis.
    pub after: &'a [usize],
    /// What the added elements hold.
    pub value: T,
}

/// `out` gets `x` with a constant around it; its axis `i` has `before[i] + shape[i] + after[i]`
/// elements.
///
/// # Panics
/// If a length does not fit.
pub fn pad<T: Copy + Send + Sync>(cpu: Cpu, call: PadCall<T>, out: &mut [T]) {
    let PadCall { x, shape, before, after, value } = call;
    let rank = shape.len();
    assert!(rank <= MAX_RANK, "pad: rank {rank} exceeds {MAX_RANK}");
    assert!(before.len() == rank && after.len() == rank, "pad: one entry an axis");
    assert_eq!(x.len(), element_count(shape), "pad: the input's length");
    let mut padded = [1; MAX_RANK];
    for axis in 0..rank {
        padded[axis] = before[axis] + shape[axis] + after[axis];
    }
    assert_eq!(out.len(), element_count(&padded[..rank]), "pad: the output's length");
    if out.is_empty() {
        return;
    }
    if rank == 0 {
        out.copy_from_slice(x);
        return;
    }
    let last = rank - 1;
    let (width, run) = (padded[last], shape[last]);
    let rows = out.len() / width;
    let group = (BLOCK / width).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(rows.div_ceil(group), &|block| {
        for row in block * group..rows.min((block + 1) * group) {
            // SAFETY: one block visits each row, once.
            let part = unsafe { parts.slice(row * width..(row + 1) * width) };
            match source_row(row, shape, before, &padded) {
                Some(from) => {
                    part[..before[last]].fill(value);
                    let middle = &mut part[before[last]..before[last] + run];
                    middle.copy_from_slice(&x[from * run..(from + 1) * run]);
                    part[before[last] + run..].fill(value);
                }
                None => part.fill(value),
            }
        }
    });
}

/// The row of the input that row `row` of the padded tensor holds, if it holds one.
fn source_row(row: usize, shape: &[usize], before: &[usize], padded: &[usize]) -> Option<usize> {
    let (mut rest, mut from, mut stride) = (row, 0, 1);
    for axis in (0..shape.len() - 1).rev() {
        let index = (rest % padded[axis]).checked_sub(before[axis])?;
        if index >= shape[axis] {
            return None;
        }
        from += index * stride;
        stride *= shape[axis];
        rest /= padded[axis];
    }
    Some(from)
}

/// What [`take`] and [`take_along_axis`] read.
#[derive(Clone, Copy, Debug)]
pub struct TakeCall<'a, T, I> {
    /// The tensor, `[outer, axis, inner]`.
    pub x: &'a [T],
    /// The positions along `axis`; negative ones count from the end, as in Keras's `take`.
    pub indices: &'a [I],
    /// The product of the sizes in front of the axis.
    pub outer: usize,
    /// The size of the axis.
    pub axis: usize,
    /// The product of the sizes behind the axis.
    pub inner: usize,
}

/// The position that an index names.
pub(crate) fn resolve<I: Index>(
    position: usize,
    index: I,
    size: usize,
) -> Result<usize, IndexOutOfRange> {
    let value = index.widen();
    let from_start = if value < 0 { value.saturating_add(size as i64) } else { value };
    match usize::try_from(from_start) {
        Ok(at) if at < size => Ok(at),
        _ => Err(IndexOutOfRange { position, value, size }),
    }
}

/// Gathers the same positions of every row: `indices` is `[count]`, `out` is
/// `[outer, count, inner]`.
///
/// # Errors
/// The first index outside `-axis..axis`; nothing is written then.
///
/// # Panics
/// If a length does not fit.
pub fn take<T: Copy + Send + Sync, I: Index>(
    cpu: Cpu,
    call: TakeCall<T, I>,
    out: &mut [T],
) -> Result<(), IndexOutOfRange> {
    let TakeCall { x, indices, outer, axis, inner } = call;
    assert_eq!(x.len(), outer * axis * inner, "take: the input's length");
    assert_eq!(out.len(), outer * indices.len() * inner, "take: the output's length");
    for (position, &index) in indices.iter().enumerate() {
        resolve(position, index, axis)?;
    }
    if out.is_empty() {
        return Ok(());
    }
    let runs = outer * indices.len();
    let group = (BLOCK / inner).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(runs.div_ceil(group), &|block| {
        for run in block * group..runs.min((block + 1) * group) {
            let (row, position) = (run / indices.len(), run % indices.len());
            let Ok(at) = resolve(position, indices[position], axis) else { continue };
            // SAFETY: one block visits each run, once.
            let part = unsafe { parts.slice(run * inner..(run + 1) * inner) };
            let from = (row * axis + at) * inner;
            part.copy_from_slice(&x[from..from + inner]);
        }
    });
    Ok(())
}

/// Gathers by an index for every element: `indices` and `out` are `[outer, count, inner]`.
///
/// # Errors
/// The first index outside `-axis..axis`; what stands in front of it may have been written.
///
/// # Panics
/// If a length does not fit.
pub fn take_along_axis<T: Copy, I: Index>(
    call: TakeCall<T, I>,
    out: &mut [T],
) -> Result<(), IndexOutOfRange> {
    let TakeCall { x, indices, outer, axis, inner } = call;
    assert_eq!(x.len(), outer * axis * inner, "take_along_axis: the input's length");
    assert_eq!(out.len(), indices.len(), "take_along_axis: one index an output element");
    if out.is_empty() {
        return Ok(());
    }
    assert_eq!(indices.len() % (outer * inner), 0, "take_along_axis: the indices' length");
    let count = indices.len() / (outer * inner);
    for (position, (value, &index)) in out.iter_mut().zip(indices).enumerate() {
        let at = resolve(position, index, axis)?;
        *value = x[(position / (count * inner) * axis + at) * inner + position % inner];
    }
    Ok(())
}

/// What [`one_hot`] reads.
#[derive(Clone, Copy, Debug)]
pub struct OneHotCall<'a, T, I> {
    /// The class of each row, `[outer, inner]`.
    pub classes: &'a [I],
    /// How many classes there are.
    pub depth: usize,
    /// The product of the sizes behind the class axis of the result (1 when it is the last).
    pub inner: usize,
    /// What the element of the class holds.
    pub on: T,
    /// What all others hold.
    pub off: T,
}

/// `out` is `[outer, depth, inner]`: `on` where the class axis equals the class, else `off`. A
/// class outside `0..depth` gives `off` throughout, as in Keras.
///
/// # Panics
/// If a length does not fit.
pub fn one_hot<T: Copy, I: Index>(call: OneHotCall<T, I>, out: &mut [T]) {
    let OneHotCall { classes, depth, inner, on, off } = call;
    assert_eq!(out.len(), classes.len() * depth, "one_hot: the output's length");
    out.fill(off);
    for (position, class) in classes.iter().enumerate() {
        if let Some(class) = usize::try_from(class.widen()).ok().filter(|&class| class < depth) {
            out[(position / inner * depth + class) * inner + position % inner] = on;
        }
    }
}
