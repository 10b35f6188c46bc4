//! The sum of a tensor to a shape that broadcasts to its own: the gradient of a broadcast.

use super::Extent;
use super::cpu::{Columns, LANES, Rows};
use super::fold::SumF32;
use crate::Cpu;
use crate::layout::{MAX_RANK, element_count};
use std::marker::PhantomData;

/// Elements of a part of a long axis, roughly: so many stay in the cache while strip after strip
/// of them is summed.
const PART: usize = 16 * 1024;
/// The least steps of a part.
const STEPS: usize = 16;

/// The axes of a tensor, neighbours of one kind taken together: kept and summed ones in turn.
struct Groups {
    /// The sizes, and whether the axes are summed.
    axes: [(usize, bool); MAX_RANK],
    count: usize,
}

impl Groups {
    /// # Panics
    /// If `to` does not broadcast to `from`, or the rank exceeds [`MAX_RANK`].
    fn new(from: &[usize], to: &[usize]) -> Groups {
        let fits = to.len() <= from.len() && from.len() <= MAX_RANK;
        assert!(fits, "sum_to: {to:?} does not broadcast to {from:?}");
        let skip = from.len() - to.len();
        let mut groups = Groups { axes: [(1, false); MAX_RANK], count: 0 };
        for (axis, &size) in from.iter().enumerate() {
            let own = if axis < skip { 1 } else { to[axis - skip] };
            assert!(own == size || own == 1, "sum_to: {to:?} does not broadcast to {from:?}");
            if size == 1 {
                continue;
            }
            let summed = own != size;
            match groups.axes[..groups.count].last_mut() {
                Some(last) if last.1 == summed => last.0 *= size,
                _ => {
                    groups.axes[groups.count] = (size, summed);
                    groups.count += 1;
                }
            }
        }
        groups
    }

    /// Takes the last summed axis off.
    fn pop(&mut self) -> Option<Extent> {
        let axes = &self.axes[..self.count];
        let last = axes.iter().rposition(|&(_, summed)| summed)?;
        let product = |axes: &[(usize, bool)]| axes.iter().map(|&(size, _)| size).product();
        let extent = Extent {
            outer: product(&axes[..last]),
            axis: axes[last].0,
            inner: product(&axes[last + 1..]),
        };
        // What stands behind the last summed axis is kept, and at most one group.
        self.axes[last].0 = extent.inner;
        self.axes[last].1 = false;
        self.count = last + 1;
        if last > 0 && !self.axes[last - 1].1 {
            self.axes[last - 1].0 *= extent.inner;
            self.count = last;
        }
        Some(extent)
    }
}

/// How many parts the axis is cut into: only one where a block can take a whole row of them.
fn parts(extent: Extent) -> usize {
    let plane = extent.axis * extent.inner;
    match plane > 4 * PART {
        true => (plane / PART).min(extent.axis / STEPS).max(1),
        false => 1,
    }
}

/// How many values [`sum_to`] needs to work in.
///
/// # Panics
/// If `to` does not broadcast to `from`.
pub fn sum_to_workspace_len(from: &[usize], to: &[usize]) -> usize {
    let mut groups = Groups::new(from, to);
    let (mut len, mut sums) = (0, 0);
    while let Some(extent) = groups.pop() {
        // The sums of all passes but the last.
        len += sums;
        sums = extent.outer * extent.inner;
        let parts = parts(extent);
        len += if parts > 1 { sums * parts } else { 0 };
    }
    len
}

/// Writes to `out`, of shape `to`, the sums of `x`, of shape `from`, over the axes that are 1 in
/// `to`, or missing in front, and not in `from` (NumPy's rules of broadcasting).
///
/// It is the gradient of [`broadcast_to`](crate::layout::broadcast_to), and so of every operand
/// that was repeated; of a tensor repeated along axes (Tile) too, with `from` and `to` the shapes
/// with an axis for each repetition. Sums are cut by the shape alone, and parts added in order.
///
/// # Panics
/// If `to` does not broadcast to `from`, or a length does not fit its shape or
/// [`sum_to_workspace_len`].
pub fn sum_to(
    cpu: Cpu,
    x: &[f32],
    from: &[usize],
    to: &[usize],
    out: &mut [f32],
    workspace: &mut [f32],
) {
    let mut groups = Groups::new(from, to);
    assert_eq!(x.len(), element_count(from), "sum_to: the input's length");
    assert_eq!(out.len(), element_count(to), "sum_to: the output's length");
    let needed = sum_to_workspace_len(from, to);
    assert!(workspace.len() >= needed, "sum_to: the workspace has less than {needed} values");
    let Some(mut extent) = groups.pop() else { return out.copy_from_slice(x) };
    let mut rest = workspace;
    let mut source: &[f32] = x;
    while let Some(next) = groups.pop() {
        let (sums, behind) = rest.split_at_mut(extent.outer * extent.inner);
        rest = sum(cpu, source, extent, sums, behind);
        source = sums;
        extent = next;
    }
    sum(cpu, source, extent, out, rest);
}

/// The sums along one axis; gives back what is left of the workspace.
fn sum<'a>(
    cpu: Cpu,
    x: &[f32],
    extent: Extent,
    out: &mut [f32],
    workspace: &'a mut [f32],
) -> &'a mut [f32] {
    let Extent { outer, axis, inner } = extent;
    let count = parts(extent);
    if count == 1 {
        super::sum(cpu, x, extent, out);
        return workspace;
    }
    let step = axis.div_ceil(count);
    let (sums, rest) = workspace.split_at_mut(outer * count * inner);
    cpu.pool.for_each_chunk(sums, inner, &|line, sums| {
        let (row, part) = (line / count, line % count);
        let steps = (part * step).min(axis)..axis.min((part + 1) * step);
        let x = &x[(row * axis + steps.start) * inner..(row * axis + steps.end) * inner];
        if inner == 1 {
            cpu.isa.run(Rows::<SumF32> { x, axis: x.len(), out: sums, fold: PhantomData });
            return;
        }
        for (index, out) in sums.chunks_mut(LANES).enumerate() {
            let left = index * LANES;
            cpu.isa.run(Columns::<SumF32> { x, inner, left, out, fold: PhantomData });
        }
    });
    super::sum(cpu, sums, Extent { outer, axis: count, inner }, out);
    rest
}
