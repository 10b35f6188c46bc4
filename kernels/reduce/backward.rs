//! The gradients of reductions, and of running sums.
//!
//! Each is that of TensorFlow (`python/ops/math_grad.py`): an extremum's gradient is split evenly
//! among the elements that equal it, a product's is the product of the others, found from both
//! ends so that zeros need no division.

use super::Extent;
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};

/// Elements that one block writes, roughly.
const BLOCK: usize = 16 * 1024;
/// Columns of one strip.
const LANES: usize = 64;

/// The gradient of a sum times `scale` (1 / `axis` for a mean): every element of `dx`
/// (`[outer, axis, inner]`) gets `scale` times that of its sum in `dy` (`[outer, inner]`).
///
/// # Panics
/// If a length does not fit `extent`.
pub fn sum_backward(cpu: Cpu, dy: &[f32], extent: Extent, scale: f32, dx: &mut [f32]) {
    let Extent { outer, axis, inner } = extent;
    extent.check(dx.len(), dy.len(), "sum_backward");
    if dx.is_empty() {
        return;
    }
    if inner == 1 {
        let rows = (BLOCK / axis).max(1);
        cpu.pool.for_each_chunk(dx, rows * axis, &|block, dx| {
            let dy = &dy[block * rows..outer.min((block + 1) * rows)];
            for (row, &value) in dx.chunks_exact_mut(axis).zip(dy) {
                row.fill(value * scale);
            }
        });
        return;
    }
    let rows = (BLOCK / inner).max(1);
    cpu.pool.for_each_chunk(dx, rows * inner, &|block, dx| {
        for (index, row) in dx.chunks_exact_mut(inner).enumerate() {
            let from = (block * rows + index) / axis * inner;
            let dy = &dy[from..from + inner];
            row.iter_mut().zip(dy).for_each(|(out, &value)| *out = value * scale);
        }
    });
}

/// The gradient of the largest or smallest values `y` (`[outer, inner]`) of `x`
/// (`[outer, axis, inner]`): that of `dy` is split evenly among the elements that equal theirs.
///
/// Where the extremum is NaN, so is the gradient of its whole line, as in TensorFlow.
///
/// # Panics
/// If a length does not fit `extent`.
pub fn extremum_backward(
    cpu: Cpu,
    x: &[f32],
    y: &[f32],
    dy: &[f32],
    extent: Extent,
    dx: &mut [f32],
) {
    extent.check(x.len(), y.len(), "extremum_backward");
    extent.check(dx.len(), dy.len(), "extremum_backward");
    each_strip(cpu, extent, dx, &|line, dx| {
        cpu.isa.run(Ties { x, y, dy, extent, line, dx });
    });
}

/// The gradient of products: `dx` (`[outer, axis, inner]`) gets that of `dy` (`[outer, inner]`)
/// times the product of the line's other elements of `x`.
///
/// # Panics
/// If a length does not fit `extent`.
pub fn prod_backward(cpu: Cpu, x: &[f32], dy: &[f32], extent: Extent, dx: &mut [f32]) {
    extent.check(x.len(), dy.len(), "prod_backward");
    extent.check(dx.len(), dy.len(), "prod_backward");
    each_strip(cpu, extent, dx, &|line, dx| {
        cpu.isa.run(Others { x, dy, extent, line, dx });
    });
}

/// The gradient of running sums: the sums of `dy` from each position to the end of the axis. Both
/// are `[outer, axis, inner]`.
///
/// # Panics
/// If a length does not fit `extent`.
pub fn cumsum_backward(cpu: Cpu, dy: &[f32], extent: Extent, dx: &mut [f32]) {
    let Extent { outer, axis, inner } = extent;
    assert_eq!(dy.len(), outer * axis * inner, "cumsum_backward: the gradient's length");
    assert_eq!(dx.len(), dy.len(), "cumsum_backward: the output's length");
    each_strip(cpu, extent, dx, &|line, dx| {
        let mut totals = [0.0f64; LANES];
        for position in (0..axis).rev() {
            let at = line.at(extent, position);
            // SAFETY: these columns are this block's own, and no other part of them is alive.
            let out = unsafe { dx.slice(at..at + line.width) };
            for ((out, &value), total) in out.iter_mut().zip(&dy[at..]).zip(&mut totals) {
                *total += f64::from(value);
                *out = *total as f32;
            }
        }
    });
}

/// Some columns of one row of an [`Extent`].
#[derive(Clone, Copy)]
struct Line {
    row: usize,
    left: usize,
    width: usize,
}

impl Line {
    /// Where the columns stand at a position of the axis.
    #[inline(always)]
    fn at(self, extent: Extent, position: usize) -> usize {
        (self.row * extent.axis + position) * extent.inner + self.left
    }

    /// The columns among those of the reduced tensor.
    #[inline(always)]
    fn reduced(self, extent: Extent, values: &[f32]) -> &[f32] {
        let start = self.row * extent.inner + self.left;
        &values[start..start + self.width]
    }
}

/// Calls `work` for all columns of all rows, in strips; no two calls share a column.
fn each_strip(
    cpu: Cpu,
    extent: Extent,
    dx: &mut [f32],
    work: &(dyn Fn(Line, DisjointMut<'_, f32>) + Sync),
) {
    if dx.is_empty() {
        return;
    }
    let Extent { outer, axis, inner } = extent;
    let strips = inner.div_ceil(LANES);
    let group = (BLOCK / (axis * inner.min(LANES))).max(1);
    let parts = DisjointMut::new(dx);
    cpu.pool.for_each((outer * strips).div_ceil(group), &|block| {
        for strip in block * group..(outer * strips).min((block + 1) * group) {
            let left = strip % strips * LANES;
            let width = LANES.min(inner - left);
            work(Line { row: strip / strips, left, width }, parts);
        }
    });
}

struct Ties<'a> {
    x: &'a [f32],
    y: &'a [f32],
    dy: &'a [f32],
    extent: Extent,
    line: Line,
    dx: DisjointMut<'a, f32>,
}

impl Kernel for Ties<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Ties { x, y, dy, extent, line, dx } = self;
        let (y, dy) = (line.reduced(extent, y), line.reduced(extent, dy));
        if extent.inner == 1 {
            // Along the line rather than across lines of one column.
            let (start, y, dy) = (line.row * extent.axis, y[0], dy[0]);
            let x = &x[start..start + extent.axis];
            let count = crate::lanes::sum_by(x, |v| f32::from(u8::from(v == y)));
            // SAFETY: this line is this block's own.
            let dx = unsafe { dx.slice(start..start + extent.axis) };
            for (out, &x) in dx.iter_mut().zip(x) {
                *out = f32::from(u8::from(x == y)) / count * dy;
            }
            return;
        }
        let mut counts = [0.0f32; LANES];
        for position in 0..extent.axis {
            let at = line.at(extent, position);
            for ((count, &x), &y) in counts.iter_mut().zip(&x[at..at + line.width]).zip(y) {
                *count += f32::from(u8::from(x == y));
            }
        }
        for position in 0..extent.axis {
            let at = line.at(extent, position);
            // SAFETY: these columns are this block's own, and no other part of them is alive.
            let out = unsafe { dx.slice(at..at + line.width) };
            let lines = out.iter_mut().zip(&x[at..at + line.width]);
            for (((out, &x), &count), (&y, &dy)) in lines.zip(&counts).zip(y.iter().zip(dy)) {
                *out = f32::from(u8::from(x == y)) / count * dy;
            }
        }
    }
}

struct Others<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    extent: Extent,
    line: Line,
    dx: DisjointMut<'a, f32>,
}

impl Kernel for Others<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Others { x, dy, extent, line, dx } = self;
        let dy = line.reduced(extent, dy);
        let mut product = [1.0f32; LANES];
        for position in (0..extent.axis).rev() {
            let at = line.at(extent, position);
            // SAFETY: these columns are this block's own, and no other part of them is alive.
            let out = unsafe { dx.slice(at..at + line.width) };
            for ((out, &x), product) in out.iter_mut().zip(&x[at..]).zip(&mut product) {
                *out = *product;
                *product *= x;
            }
        }
        let mut product = [1.0f32; LANES];
        for position in 0..extent.axis {
            let at = line.at(extent, position);
            // SAFETY: as above.
            let out = unsafe { dx.slice(at..at + line.width) };
            let lines = out.iter_mut().zip(&x[at..]);
            for (((out, &x), product), &dy) in lines.zip(&mut product).zip(dy) {
                *out = *product * *out * dy;
                *product *= x;
            }
        }
    }
}
