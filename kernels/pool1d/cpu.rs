//! Maxima and averages, vectorised over features.

use super::PoolShape;
use crate::isa::{Kernel, Simd};
use crate::reduce::{self, Extent};
use crate::{Cpu, DisjointMut};

/// Features of one strip.
const STRIP: usize = 64;

pub(super) fn extent(shape: PoolShape) -> Extent {
    Extent { outer: shape.batch, axis: shape.time, inner: shape.features }
}

/// Writes the largest value of each feature over time to `out`, `[batch, features]`. Masks have
/// no part in it, as in Keras. Without steps it is −∞ (Keras refuses such an input).
///
/// # Panics
/// If a length does not fit the shape.
pub fn global_max(cpu: Cpu, x: &[f32], shape: PoolShape, out: &mut [f32]) {
    reduce::max(cpu, x, extent(shape), out);
}

/// Writes the mean of each feature over the unmasked steps to `out`, `[batch, features]`.
///
/// `mask` is `[batch, time]`, 0 = left out; what a masked step holds has no influence. Without
/// any step left the mean is 0/0, NaN, as in Keras.
///
/// # Panics
/// If a length does not fit the shape.
pub fn global_average(cpu: Cpu, x: &[f32], mask: Option<&[u8]>, shape: PoolShape, out: &mut [f32]) {
    let Some(mask) = mask else { return reduce::mean(cpu, x, extent(shape), out) };
    let PoolShape { batch, time, features } = shape;
    assert_eq!(x.len(), batch * time * features, "pool1d: the input's length");
    assert_eq!(mask.len(), batch * time, "pool1d: the mask's length");
    assert_eq!(out.len(), batch * features, "pool1d: the output's length");
    if out.is_empty() {
        return;
    }
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(batch, &|b| {
        // SAFETY: each block writes the row of one sequence.
        let out = unsafe { parts.slice(b * features..(b + 1) * features) };
        let x = &x[b * time * features..(b + 1) * time * features];
        cpu.isa.run(Average { x, mask: &mask[b * time..(b + 1) * time], out });
    });
}

struct Average<'a> {
    x: &'a [f32],
    mask: &'a [u8],
    out: &'a mut [f32],
}

impl Kernel for Average<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let features = self.out.len();
        let count = self.mask.iter().filter(|&&keep| keep != 0).count() as f32;
        for (index, out) in self.out.chunks_mut(STRIP).enumerate() {
            let left = index * STRIP;
            let mut sums = [0.0; STRIP];
            for (step, &keep) in self.x.chunks_exact(features).zip(self.mask) {
                if keep != 0 {
                    let step = &step[left..left + out.len()];
                    sums.iter_mut().zip(step).for_each(|(sum, &value)| *sum += value);
                }
            }
            out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = sum / count);
        }
    }
}
