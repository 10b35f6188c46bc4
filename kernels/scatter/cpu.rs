//! The fast forms.

use crate::isa::{Kernel, Simd};
use crate::layout::{
    self, Index, IndexOutOfRange, MAX_RANK, PadCall, SliceAxis, dense_strides, element_count,
};
use crate::{Cpu, DisjointMut};
use std::ops::Range;

/// Elements that one block writes, roughly.
const BLOCK: usize = 16 * 1024;
/// Blocks that suffice for the places of one row; each looks at all indices.
const DEALT: usize = 4;
/// Columns of a strip of wide places: a few lines of the cache.
const STRIP: usize = 32;

/// What [`take_backward`] and [`take_along_axis_backward`] read.
#[derive(Clone, Copy, Debug)]
pub struct TakeBackward<'a, T, I> {
    /// The gradient of what was taken, `[outer, indices, inner]`.
    pub dy: &'a [T],
    /// The positions along `axis`; negative ones count from the end.
    pub indices: &'a [I],
    /// The product of the sizes in front of the axis.
    pub outer: usize,
    /// The size of the axis.
    pub axis: usize,
    /// The product of the sizes behind the axis.
    pub inner: usize,
}

/// The gradient of [`take`](layout::take): `dx` (`[outer, axis, inner]`) gets at each place the
/// sum of the gradients of what was taken there, 0 where nothing was.
///
/// # Errors
/// The first index outside `-axis..axis`; nothing is written then.
///
/// # Panics
/// If a length does not fit.
pub fn take_backward<I: Index>(
    cpu: Cpu,
    call: TakeBackward<f32, I>,
    dx: &mut [f32],
) -> Result<(), IndexOutOfRange> {
    let TakeBackward { dy, indices, outer, axis, inner } = call;
    assert_eq!(dy.len(), outer * indices.len() * inner, "take_backward: the gradient's length");
    assert_eq!(dx.len(), outer * axis * inner, "take_backward: the output's length");
    for (position, &index) in indices.iter().enumerate() {
        layout::resolve(position, index, axis)?;
    }
    let place = |index: I| {
        let index = index.widen();
        (if index < 0 { index + axis as i64 } else { index }) as usize
    };
    add_rows(cpu, dy, indices, place, [outer, axis, inner], dx);
    Ok(())
}

/// Writes to `dx` (`[outer, axis, inner]`) the sums of the rows of `dy` (`[outer, indices,
/// inner]`) whose index `place` brings to the same position, which must lie below `axis`.
pub(crate) fn add_rows<I: Index>(
    cpu: Cpu,
    dy: &[f32],
    indices: &[I],
    place: impl Fn(I) -> usize + Sync,
    [outer, axis, inner]: [usize; 3],
    dx: &mut [f32],
) {
    if dx.is_empty() {
        return;
    }
    let count = indices.len();
    let work = outer * (axis + count) * inner;
    if outer >= DEALT || work <= BLOCK {
        let plane = axis * inner;
        let rows = (BLOCK / ((axis + count) * inner)).max(1);
        cpu.pool.for_each_chunk(dx, rows * plane, &|block, dx| {
            dx.fill(0.0);
            for (index, plane) in dx.chunks_exact_mut(plane).enumerate() {
                let dy = &dy[(block * rows + index) * count * inner..][..count * inner];
                for (&index, dy) in indices.iter().zip(dy.chunks_exact(inner)) {
                    let at = place(index) * inner;
                    add(&mut plane[at..at + inner], dy);
                }
            }
        });
        return;
    }
    // Few rows: the places are dealt out in turn, some neighbours at a time so that blocks share
    // no line of the cache, since low positions (frequent words) are met most.
    let strips = inner.div_ceil(STRIP);
    // Both are powers of two, since a division would cost more than the sum of a narrow row.
    let together = STRIP.div_ceil(inner).next_power_of_two();
    let dealt = (work / BLOCK / (outer * strips)).clamp(1, DEALT.div_ceil(strips));
    let dealt = dealt.min(axis.div_ceil(together)).next_power_of_two();
    let (shift, last) = (together.trailing_zeros(), dealt - 1);
    let parts = DisjointMut::new(dx);
    cpu.pool.for_each(outer * dealt * strips, &|block| {
        let (row, own, left) = (block / strips / dealt, block / strips % dealt, block % strips);
        let (left, start) = (left * STRIP, row * axis * inner);
        cpu.isa.run(Dealt {
            dy: &dy[row * count * inner..(row + 1) * count * inner],
            indices,
            place: &place,
            dx: parts,
            start,
            axis,
            inner,
            columns: left..inner.min(left + STRIP),
            owns: |at: usize| (at >> shift) & last == own,
        });
    });
}

/// Some columns of the places of one row that one block owns.
struct Dealt<'a, I, P, O> {
    /// `[indices, inner]`.
    dy: &'a [f32],
    indices: &'a [I],
    place: &'a P,
    dx: DisjointMut<'a, f32>,
    /// Where the row begins.
    start: usize,
    axis: usize,
    inner: usize,
    columns: Range<usize>,
    /// Whether a place is this block's.
    owns: O,
}

impl<I: Index, P: Fn(I) -> usize, O: Fn(usize) -> bool> Kernel for Dealt<'_, I, P, O> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Dealt { dy, indices, place, dx, start, axis, inner, columns, owns } = self;
        let part = |at: usize| {
            let from = start + at * inner;
            // SAFETY: these columns of each place are one block's, where one part lives at a time.
            unsafe { dx.slice(from + columns.start..from + columns.end) }
        };
        for at in (0..axis).filter(|&at| owns(at)) {
            part(at).fill(0.0);
        }
        for (&index, row) in indices.iter().zip(dy.chunks_exact(inner)) {
            let at = place(index);
            if owns(at) {
                add(part(at), &row[columns.clone()]);
            }
        }
    }
}

#[inline(always)]
fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
}

/// The gradient of [`take_along_axis`](layout::take_along_axis): `indices` and `dy` are
/// `[outer, count, inner]`, and `dx` (`[outer, axis, inner]`) gets at each place the sum of the
/// gradients of what was taken there, 0 where nothing was.
///
/// # Errors
/// The first index outside `-axis..axis`; nothing is written then.
///
/// # Panics
/// If a length does not fit.
pub fn take_along_axis_backward<I: Index>(
    cpu: Cpu,
    call: TakeBackward<f32, I>,
    dx: &mut [f32],
) -> Result<(), IndexOutOfRange> {
    let TakeBackward { dy, indices, outer, axis, inner } = call;
    assert_eq!(dy.len(), indices.len(), "take_along_axis_backward: one index an element");
    assert_eq!(dx.len(), outer * axis * inner, "take_along_axis_backward: the output's length");
    for (position, &index) in indices.iter().enumerate() {
        layout::resolve(position, index, axis)?;
    }
    if dx.is_empty() {
        return Ok(());
    }
    assert_eq!(indices.len() % (outer * inner), 0, "take_along_axis_backward: the indices' length");
    let (from_plane, plane) = (indices.len() / outer, axis * inner);
    let rows = (BLOCK / (from_plane + plane)).max(1);
    cpu.pool.for_each_chunk(dx, rows * plane, &|block, dx| {
        dx.fill(0.0);
        for (index, dx) in dx.chunks_exact_mut(plane).enumerate() {
            let from = (block * rows + index) * from_plane;
            let (dy, indices) = (&dy[from..from + from_plane], &indices[from..from + from_plane]);
            for (position, (&value, &index)) in dy.iter().zip(indices).enumerate() {
                if let Ok(at) = layout::resolve(from + position, index, axis) {
                    dx[at * inner + position % inner] += value;
                }
            }
        }
    });
    Ok(())
}

/// The gradient of [`slice`](layout::slice): `dx`, of shape `shape`, gets `dy` at the places that
/// `axes` name, sums where a step of 0 names one several times, and 0 elsewhere.
///
/// # Panics
/// If an axis reaches outside `shape`, or a length does not fit.
pub fn slice_backward(cpu: Cpu, dy: &[f32], shape: &[usize], axes: &[SliceAxis], dx: &mut [f32]) {
    let rank = shape.len();
    assert_eq!(axes.len(), rank, "slice_backward: one entry an axis");
    assert_eq!(dx.len(), element_count(shape), "slice_backward: the output's length");
    let (strides, mut sizes) = (dense_strides(shape), [1; MAX_RANK]);
    let (mut before, mut after) = ([0; MAX_RANK], [0; MAX_RANK]);
    let mut offset = 0;
    for (i, axis) in axes.iter().enumerate() {
        let last = axis.start as isize + axis.step * (axis.count as isize - 1);
        let inside = axis.start < shape[i] && (0..shape[i] as isize).contains(&last);
        assert!(
            axis.count == 0 || inside,
            "slice_backward: {axis:?} reaches outside axis {i} of {shape:?}"
        );
        sizes[i] = axis.count;
        (before[i], after[i]) = (axis.start, shape[i].saturating_sub(axis.start + axis.count));
        offset += axis.start as isize * strides[i];
    }
    let sizes = &sizes[..rank];
    assert_eq!(dy.len(), element_count(sizes), "slice_backward: the gradient's length");
    if dy.is_empty() {
        return dx.fill(0.0);
    }
    if axes.iter().all(|axis| axis.step == 1) {
        let (before, after) = (&before[..rank], &after[..rank]);
        let call = PadCall { x: dy, shape: sizes, before, after, value: 0.0 };
        return layout::pad(cpu, call, dx);
    }
    cpu.pool.for_each_chunk(dx, BLOCK, &|_, dx| dx.fill(0.0));
    let width = sizes[rank - 1];
    let step = axes[rank - 1].step;
    let rows = dy.len() / width;
    // Rows that meet the same places are one block's, which keeps their order.
    let shared = axes.iter().any(|axis| axis.step == 0 && axis.count > 1);
    let group = if shared { rows } else { (BLOCK / width).max(1) };
    let parts = DisjointMut::new(dx);
    cpu.pool.for_each(rows.div_ceil(group), &|block| {
        for row in block * group..rows.min((block + 1) * group) {
            let (mut rest, mut at) = (row, offset);
            for i in (0..rank - 1).rev() {
                at += (rest % sizes[i]) as isize * axes[i].step * strides[i];
                rest /= sizes[i];
            }
            for (i, &value) in dy[row * width..(row + 1) * width].iter().enumerate() {
                let place = (at + i as isize * step) as usize;
                // SAFETY: without a step of 0 no two elements of `dy` have one place; with one
                // there is a single block. One part lives at a time.
                let out = unsafe { parts.slice(place..place + 1) };
                out[0] += value;
            }
        }
    });
}
