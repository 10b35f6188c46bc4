//! The fast forms: rows in side-by-side partial results, or strips of columns.

use super::Extent;
use super::fold::{All, Any, Fold, Number};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};
use std::marker::PhantomData;

/// Partial results kept side by side, and columns of one strip.
pub(super) const LANES: usize = 64;
/// Steps of a partial result before it is joined to the total.
const STEPS: usize = 16;
/// Elements that one block reads, roughly.
const BLOCK: usize = 16 * 1024;

macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident, $fold:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// If a length does not fit `extent`.
        pub fn $name<T: Number>(cpu: Cpu, x: &[T], extent: Extent, out: &mut [T]) {
            reduce::<T::$fold>(cpu, x, extent, out, stringify!($name));
        }
    )*};
}

reductions! {
    /// Sums; 0 for an empty axis. The error of a sum of `f32` stays a few ulp of
    /// the sum of magnitudes at any length.
    sum, Sum;
    /// Products; 1 for an empty axis.
    prod, Prod;
    /// The largest values; −∞, or the type's lowest, for an empty axis.
    max, Max;
    /// The smallest values; ∞, or the type's highest, for an empty axis.
    min, Min;
}

/// Means; NaN for an empty axis.
///
/// # Panics
/// If a length does not fit `extent`.
pub fn mean(cpu: Cpu, x: &[f32], extent: Extent, out: &mut [f32]) {
    sum(cpu, x, extent, out);
    let count = extent.axis as f32;
    out.iter_mut().for_each(|value| *value /= count);
}

/// Means of integers without their fractions; 0 for an empty axis. The sums do not wrap.
///
/// # Panics
/// If a length does not fit `extent`.
pub fn mean_integer<T: Copy + Into<i128> + TryFrom<i128> + Default + Send + Sync>(
    cpu: Cpu,
    x: &[T],
    extent: Extent,
    out: &mut [T],
) {
    extent.check(x.len(), out.len(), "mean");
    let Extent { axis, inner, .. } = extent;
    let group = (BLOCK / axis.max(1)).max(1);
    cpu.pool.for_each_chunk(out, group, &|block, out| {
        for (index, out) in out.iter_mut().enumerate() {
            let at = block * group + index;
            let line = x[at / inner * axis * inner..].iter().skip(at % inner).step_by(inner);
            let sum: i128 = line.take(axis).map(|&value| value.into()).sum();
            // A mean lies between two of the values.
            *out =
                sum.checked_div(axis as i128).and_then(|m| m.try_into().ok()).unwrap_or_default();
        }
    });
}

/// 1 where any value is not 0, else 0; 0 for an empty axis.
///
/// # Panics
/// If a length does not fit `extent`.
pub fn any(cpu: Cpu, x: &[u8], extent: Extent, out: &mut [u8]) {
    reduce::<Any>(cpu, x, extent, out, "any");
}

/// 1 where no value is 0, else 0; 1 for an empty axis.
///
/// # Panics
/// If a length does not fit `extent`.
pub fn all(cpu: Cpu, x: &[u8], extent: Extent, out: &mut [u8]) {
    reduce::<All>(cpu, x, extent, out, "all");
}

fn reduce<F: Fold>(cpu: Cpu, x: &[F::Value], extent: Extent, out: &mut [F::Value], what: &str) {
    extent.check(x.len(), out.len(), what);
    if out.is_empty() {
        return;
    }
    let Extent { outer, axis, inner } = extent;
    let parts = DisjointMut::new(out);
    if inner == 1 {
        let group = (BLOCK / axis.max(1)).max(1);
        cpu.pool.for_each(outer.div_ceil(group), &|block| {
            let rows = block * group..outer.min((block + 1) * group);
            // SAFETY: blocks write disjoint rows.
            let out = unsafe { parts.slice(rows.clone()) };
            let x = &x[rows.start * axis..rows.end * axis];
            cpu.isa.run(Rows::<F> { x, axis, out, fold: PhantomData });
        });
        return;
    }
    let strips = inner.div_ceil(LANES);
    let group = (BLOCK / (axis * LANES).max(1)).max(1);
    cpu.pool.for_each((outer * strips).div_ceil(group), &|block| {
        for strip in block * group..(outer * strips).min((block + 1) * group) {
            let (row, left) = (strip / strips, strip % strips * LANES);
            let width = LANES.min(inner - left);
            let start = row * inner + left;
            // SAFETY: each strip is taken by one block.
            let out = unsafe { parts.slice(start..start + width) };
            let x = &x[row * axis * inner..(row + 1) * axis * inner];
            cpu.isa.run(Columns::<F> { x, inner, left, out, fold: PhantomData });
        }
    });
}

pub(super) struct Rows<'a, F: Fold> {
    pub(super) x: &'a [F::Value],
    pub(super) axis: usize,
    pub(super) out: &'a mut [F::Value],
    pub(super) fold: PhantomData<F>,
}

impl<F: Fold> Kernel for Rows<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (i, out) in self.out.iter_mut().enumerate() {
            let row = &self.x[i * self.axis..(i + 1) * self.axis];
            let mut total = F::START_TOTAL;
            for run in row.chunks(LANES * STEPS) {
                total = F::join(total, fold_run::<F>(run));
            }
            *out = F::end(total);
        }
    }
}

#[inline(always)]
fn fold_run<F: Fold>(run: &[F::Value]) -> F::Value {
    if run.len() < LANES {
        return run.iter().fold(F::START, |sum, &value| F::step(sum, value));
    }
    let mut lanes = [F::START; LANES];
    let chunks = run.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = F::step(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = F::step(*lane, value);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = F::step(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

pub(super) struct Columns<'a, F: Fold> {
    pub(super) x: &'a [F::Value],
    pub(super) inner: usize,
    pub(super) left: usize,
    pub(super) out: &'a mut [F::Value],
    pub(super) fold: PhantomData<F>,
}

impl<F: Fold> Kernel for Columns<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Columns { x, inner, left, out, .. } = self;
        let width = out.len();
        let mut totals = [F::START_TOTAL; LANES];
        for steps in x.chunks(inner * STEPS) {
            let mut run = [F::START; LANES];
            for step in steps.chunks_exact(inner) {
                for (run, &value) in run[..width].iter_mut().zip(&step[left..left + width]) {
                    *run = F::step(*run, value);
                }
            }
            for (total, &run) in totals[..width].iter_mut().zip(&run) {
                *total = F::join(*total, run);
            }
        }
        for (out, &total) in out.iter_mut().zip(&totals) {
            *out = F::end(total);
        }
    }
}
