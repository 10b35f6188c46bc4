//! Where the extrema stand.

use super::Extent;
use crate::isa::{Kernel, Simd};
use crate::layout::Index;
use crate::{Cpu, DisjointMut};

/// Columns of one strip.
const LANES: usize = 64;

/// The position of the first largest value along the axis; NaNs are passed over, as in
/// TensorFlow, and 0 is given where nothing else is left.
///
/// # Panics
/// If a length does not fit `extent`, or the axis is empty and the output is not.
pub fn argmax<T: Extreme, I: Index>(cpu: Cpu, x: &[T], extent: Extent, out: &mut [I]) {
    search(cpu, x, extent, out, true);
}

/// The position of the first smallest value along the axis; otherwise as [`argmax`].
///
/// # Panics
/// As [`argmax`].
pub fn argmin<T: Extreme, I: Index>(cpu: Cpu, x: &[T], extent: Extent, out: &mut [I]) {
    search(cpu, x, extent, out, false);
}

/// A type that has a largest and a smallest value.
pub trait Extreme: Copy + PartialOrd + Send + Sync {
    /// No value is below it.
    const LOWEST: Self;
    /// No value is above it.
    const HIGHEST: Self;
}

impl Extreme for f32 {
    const LOWEST: f32 = f32::NEG_INFINITY;
    const HIGHEST: f32 = f32::INFINITY;
}

impl Extreme for i32 {
    const LOWEST: i32 = i32::MIN;
    const HIGHEST: i32 = i32::MAX;
}

impl Extreme for i64 {
    const LOWEST: i64 = i64::MIN;
    const HIGHEST: i64 = i64::MAX;
}

impl Extreme for u64 {
    const LOWEST: u64 = u64::MIN;
    const HIGHEST: u64 = u64::MAX;
}

fn search<T: Extreme, I: Index>(cpu: Cpu, x: &[T], extent: Extent, out: &mut [I], largest: bool) {
    extent.check(x.len(), out.len(), "argmax or argmin");
    if out.is_empty() {
        return;
    }
    let Extent { outer, axis, inner } = extent;
    assert!(axis > 0, "argmax or argmin of an empty axis");
    let strips = inner.div_ceil(LANES);
    let group = (16 * 1024 / (axis * inner.min(LANES))).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each((outer * strips).div_ceil(group), &|block| {
        for strip in block * group..(outer * strips).min((block + 1) * group) {
            let (row, left) = (strip / strips, strip % strips * LANES);
            let start = row * inner + left;
            // SAFETY: each strip is taken by one block.
            let out = unsafe { parts.slice(start..start + LANES.min(inner - left)) };
            let x = &x[row * axis * inner..(row + 1) * axis * inner];
            cpu.isa.run(Strip { x, inner, left, out, largest });
        }
    });
}

struct Strip<'a, T, I> {
    x: &'a [T],
    inner: usize,
    left: usize,
    out: &'a mut [I],
    largest: bool,
}

impl<T: Extreme, I: Index> Kernel for Strip<'_, T, I> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Strip { x, inner, left, out, largest } = self;
        if largest {
            columns(x, inner, left, out, T::LOWEST, |value, best| value > best);
        } else {
            columns(x, inner, left, out, T::HIGHEST, |value, best| value < best);
        }
    }
}

#[inline(always)]
fn columns<T: Extreme, I: Index>(
    x: &[T],
    inner: usize,
    left: usize,
    out: &mut [I],
    start: T,
    better: impl Fn(T, T) -> bool,
) {
    let width = out.len();
    let mut best = [start; LANES];
    let mut place = [0; LANES];
    for (position, step) in x.chunks_exact(inner).enumerate() {
        let step = &step[left..left + width];
        for ((best, place), &value) in best.iter_mut().zip(&mut place).zip(step) {
            let found = better(value, *best);
            *best = if found { value } else { *best };
            *place = if found { position } else { *place };
        }
    }
    for (out, &place) in out.iter_mut().zip(&place) {
        *out = I::from_position(place);
    }
}
