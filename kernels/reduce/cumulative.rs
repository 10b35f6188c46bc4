//! Running sums.

use super::Extent;
use super::fold::{Fold, Number};
use crate::{Cpu, DisjointMut};

/// Columns of one strip.
const LANES: usize = 64;

/// Sums of the values up to and with each position along the axis: `out` has the shape of `x`.
/// Totals are kept as [`sum`](super::sum) keeps them, so that long sums of `f32` lose few digits;
/// integers wrap around.
///
/// # Panics
/// If a length does not fit `extent`.
pub fn cumsum<T: Number>(cpu: Cpu, x: &[T], extent: Extent, out: &mut [T]) {
    let Extent { outer, axis, inner } = extent;
    assert_eq!(x.len(), outer * axis * inner, "cumsum: the input's length");
    assert_eq!(out.len(), x.len(), "cumsum: the output's length");
    if out.is_empty() {
        return;
    }
    let plane = axis * inner;
    let group = (16 * 1024 / plane).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(outer.div_ceil(group), &|block| {
        let rows = block * group..outer.min((block + 1) * group);
        // SAFETY: blocks write disjoint planes.
        let out = unsafe { parts.slice(rows.start * plane..rows.end * plane) };
        let x = &x[rows.start * plane..rows.end * plane];
        for (x, out) in x.chunks_exact(plane).zip(out.chunks_exact_mut(plane)) {
            for left in (0..inner).step_by(LANES) {
                strip::<T::Sum>(x, out, inner, left..inner.min(left + LANES));
            }
        }
    });
}

/// The running sums of some columns of one plane `[axis, inner]`.
fn strip<F: Fold>(
    x: &[F::Value],
    out: &mut [F::Value],
    inner: usize,
    columns: std::ops::Range<usize>,
) {
    let mut totals = [F::START_TOTAL; LANES];
    for (x, out) in x.chunks_exact(inner).zip(out.chunks_exact_mut(inner)) {
        let pairs = out[columns.clone()].iter_mut().zip(&x[columns.clone()]);
        for ((out, &value), total) in pairs.zip(&mut totals) {
            *total = F::join(*total, value);
            *out = F::end(*total);
        }
    }
}
