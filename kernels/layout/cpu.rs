//! The reads in another order: all are one strided copy.

use super::{MAX_RANK, SliceAxis, View, dense_strides, element_count};
use crate::{Cpu, DisjointMut};

/// Elements that one block copies, roughly.
const BLOCK: usize = 16 * 1024;
/// The side of the squares in which a transposition walks, so that lines read stay in the cache.
const TILE: usize = 16;

/// `out` gets `x` with its axes in another order: axis `i` of the result is axis
/// `permutation[i]` of `x`.
///
/// # Panics
/// If `permutation` is not one of the axes of `shape`, or a length does not fit its shape.
pub fn transpose<T: Copy + Send + Sync>(
    cpu: Cpu,
    x: &[T],
    shape: &[usize],
    permutation: &[usize],
    out: &mut [T],
) {
    assert_eq!(permutation.len(), shape.len(), "transpose: one entry of the permutation an axis");
    let strides = dense_strides(shape);
    let mut seen = [false; MAX_RANK];
    let mut view = View::scalar(0);
    for &axis in permutation {
        assert!(axis < shape.len() && !seen[axis], "transpose: {permutation:?} permutes no axes");
        seen[axis] = true;
        view.push(shape[axis], strides[axis]);
    }
    copy(cpu, x, element_count(shape), view, out);
}

/// The step of an axis. That of a single element leads nowhere, and may be any number.
fn step(axis: &SliceAxis) -> isize {
    if axis.count > 1 { axis.step } else { 0 }
}

/// `out` gets the elements of `x` that `axes` name, one entry an axis of `shape`.
///
/// # Panics
/// If an axis reaches outside `x`, or a length does not fit its shape.
pub fn slice<T: Copy + Send + Sync>(
    cpu: Cpu,
    x: &[T],
    shape: &[usize],
    axes: &[SliceAxis],
    out: &mut [T],
) {
    assert_eq!(axes.len(), shape.len(), "slice: one entry an axis");
    let strides = dense_strides(shape);
    let mut offset = 0;
    for (i, axis) in axes.iter().enumerate() {
        let last = axis.start as isize + step(axis) * (axis.count as isize - 1);
        let inside = 0..shape[i] as isize;
        assert!(
            axis.count == 0 || (axis.start < shape[i] && inside.contains(&last)),
            "slice: {axis:?} reaches outside axis {i} of {shape:?}"
        );
        offset += axis.start as isize * strides[i];
    }
    let mut view = View::scalar(offset);
    for (i, axis) in axes.iter().enumerate() {
        view.push(axis.count, strides[i] * step(axis));
    }
    copy(cpu, x, element_count(shape), view, out);
}

/// `out` gets `x` with the order along `axis` turned round.
///
/// # Panics
/// If there is no such axis, or a length does not fit `shape`.
pub fn reverse<T: Copy + Send + Sync>(
    cpu: Cpu,
    x: &[T],
    shape: &[usize],
    axis: usize,
    out: &mut [T],
) {
    assert!(axis < shape.len(), "reverse: axis {axis} of {shape:?}");
    let strides = dense_strides(shape);
    let mut view = View::scalar(strides[axis] * (shape[axis] as isize - 1));
    for (i, &size) in shape.iter().enumerate() {
        view.push(size, if i == axis { -strides[i] } else { strides[i] });
    }
    copy(cpu, x, element_count(shape), view, out);
}

/// `out` gets `x` repeated along the axes where `shape` is 1, or missing in front, and
/// `out_shape` is not.
///
/// # Panics
/// If `shape` does not broadcast to `out_shape`, or a length does not fit its shape.
pub fn broadcast_to<T: Copy + Send + Sync>(
    cpu: Cpu,
    x: &[T],
    shape: &[usize],
    out_shape: &[usize],
    out: &mut [T],
) {
    let fits = shape.len() <= out_shape.len() && out_shape.len() <= MAX_RANK;
    assert!(fits, "broadcast_to: {shape:?} does not broadcast to {out_shape:?}");
    let skip = out_shape.len() - shape.len();
    let strides = dense_strides(shape);
    let mut view = View::scalar(0);
    for (i, &size) in out_shape.iter().enumerate() {
        let own = if i < skip { 1 } else { shape[i - skip] };
        assert!(own == size || own == 1, "{shape:?} does not broadcast to {out_shape:?}");
        view.push(size, if own == 1 { 0 } else { strides[i - skip] });
    }
    copy(cpu, x, element_count(shape), view, out);
}

/// Copies what `view` reads of `x` into `out`.
fn copy<T: Copy + Send + Sync>(cpu: Cpu, x: &[T], len: usize, view: View, out: &mut [T]) {
    assert_eq!(x.len(), len, "the input's length is not its shape's");
    assert_eq!(out.len(), view.len(), "the output's length is not its shape's");
    assert!(view.fits(x.len()), "the view reaches outside the input");
    if out.is_empty() {
        return;
    }
    // The two innermost axes are one block's loop; the others number the blocks.
    let split = view.rank.saturating_sub(2);
    let columns = if view.rank == 0 { 1 } else { view.shape[view.rank - 1] };
    let column_stride = if view.rank == 0 { 0 } else { view.strides[view.rank - 1] };
    let (rows, row_stride) =
        if view.rank < 2 { (1, 0) } else { (view.shape[split], view.strides[split]) };
    let planes = out.len() / (rows * columns);
    let strip = (BLOCK / columns).clamp(1, rows);
    let strips = rows.div_ceil(strip);
    // Small planes are taken several to a block.
    let group = (BLOCK / (rows * columns)).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(planes.div_ceil(group) * strips, &|block| {
        let first = block / strips * group;
        let top = block % strips * strip;
        let height = strip.min(rows - top);
        for plane in first..(first + group).min(planes) {
            let mut offset = view.offset + top as isize * row_stride;
            let mut rest = plane;
            for axis in (0..split).rev() {
                offset += (rest % view.shape[axis]) as isize * view.strides[axis];
                rest /= view.shape[axis];
            }
            let start = (plane * rows + top) * columns;
            // SAFETY: every (plane, strip of rows) is visited by one block, once.
            let part = unsafe { parts.slice(start..start + height * columns) };
            let plane = Plane { x, offset, row_stride, column_stride };
            // SAFETY: `view.fits` holds, and the indices stay below the view's shape.
            unsafe { plane.copy(part, columns) };
        }
    });
}

/// A strided read with two axes.
struct Plane<'a, T> {
    x: &'a [T],
    offset: isize,
    row_stride: isize,
    column_stride: isize,
}

impl<T: Copy> Plane<'_, T> {
    /// # Safety
    /// All of `out.len() / columns` rows must lie inside `x`.
    unsafe fn copy(&self, out: &mut [T], columns: usize) {
        if self.column_stride == 1 {
            for (row, part) in out.chunks_exact_mut(columns).enumerate() {
                let start = (self.offset + row as isize * self.row_stride) as usize;
                part.copy_from_slice(&self.x[start..start + columns]);
            }
            return;
        }
        let rows = out.len() / columns;
        // Squares serve reads that run along the rows; elsewhere the order of the output is best.
        let tile = if self.row_stride.abs() < self.column_stride.abs() { TILE } else { columns };
        for top in (0..rows).step_by(TILE) {
            for left in (0..columns).step_by(tile) {
                for row in top..rows.min(top + TILE) {
                    let line = self.offset + row as isize * self.row_stride;
                    for column in left..columns.min(left + tile) {
                        let from = line + column as isize * self.column_stride;
                        // SAFETY: the caller promises that the plane lies inside `x`, and
                        // `row` and `column` stay below its sizes.
                        out[row * columns + column] =
                            unsafe { *self.x.get_unchecked(from as usize) };
                    }
                }
            }
        }
    }
}
