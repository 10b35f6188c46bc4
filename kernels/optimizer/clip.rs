//! Clipping of gradients, by value and by norm, and what goes with it: norms, accumulation.

use super::elements::{Elements, each};
use crate::Cpu;
use crate::isa::{Kernel, Simd};
use std::ops::Range;

/// Parts that a sum is cut into, at most; their sums are added in order.
const PARTS: usize = 64;
/// Elements of a part, at least.
const PART: usize = 8 * 1024;

/// `Σ x²`, summed in `f64` and rounded once.
///
/// Keras sums in `f32`, in an order that its device decides.
pub fn sum_of_squares(cpu: Cpu, x: &[f32]) -> f32 {
    sum_by(cpu, x.len(), &|range| cpu.isa.run(Squares(&x[range]))) as f32
}

/// Adds up what `part` gives for the parts of `0..len`, in order.
pub(super) fn sum_by(cpu: Cpu, len: usize, part: &(dyn Fn(Range<usize>) -> f64 + Sync)) -> f64 {
    let chunk = len.div_ceil(PARTS).max(PART);
    let parts = len.div_ceil(chunk);
    let mut sums = [0.0; PARTS];
    cpu.pool.for_each_chunk(&mut sums[..parts], 1, &|index, sum: &mut [f64]| {
        sum[0] = part(index * chunk..len.min((index + 1) * chunk));
    });
    sums.iter().sum()
}

struct Squares<'a>(&'a [f32]);

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let mut lanes = [0.0f64; 16];
        for chunk in self.0.chunks(16) {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(x) * f64::from(x);
            }
        }
        lanes.iter().sum()
    }
}

/// Keras's `clipnorm`: `g · clip / max(|g|, clip)`, for each variable alone.
pub fn clip_by_norm(cpu: Cpu, clip_norm: f64, gradient: &mut [f32]) {
    let clip = clip_norm as f32;
    let norm = sum_of_squares(cpu, gradient).sqrt();
    // NaN goes on, as in TensorFlow's maximum.
    let divisor = if (norm > clip) | norm.is_nan() { norm } else { clip };

    #[derive(Clone, Copy)]
    struct Scale(f32, f32);

    impl Elements<1> for Scale {
        #[inline(always)]
        fn step(self, _: f32, _: f32, [g]: [f32; 1]) -> [f32; 1] {
            [(g * self.0) / self.1]
        }
    }

    each(cpu, Scale(clip, divisor), None, [gradient]);
}

/// The factor of Keras's `global_clipnorm`, from the sums of squares of all gradients:
/// `clip · min(1 / norm, 1 / clip)`; NaN where the norm is not finite.
pub fn global_scale(clip_norm: f64, sums_of_squares: impl IntoIterator<Item = f32>) -> f32 {
    let norm = sums_of_squares.into_iter().sum::<f32>().sqrt();
    let (inverse, bound) = (1.0 / norm, (1.0 / clip_norm) as f32);
    let least = if (inverse < bound) | inverse.is_nan() { inverse } else { bound };
    if norm.is_finite() { clip_norm as f32 * least } else { f32::NAN }
}

/// Multiplies a gradient by a factor, such as that of [`global_scale`].
pub fn scale(cpu: Cpu, factor: f32, gradient: &mut [f32]) {
    #[derive(Clone, Copy)]
    struct Scale(f32);

    impl Elements<1> for Scale {
        #[inline(always)]
        fn step(self, _: f32, _: f32, [g]: [f32; 1]) -> [f32; 1] {
            [g * self.0]
        }
    }

    each(cpu, Scale(factor), None, [gradient]);
}

/// Keras's `clipvalue`: every element into `-limit..=limit`; NaN stays.
pub fn clip_by_value(cpu: Cpu, limit: f64, gradient: &mut [f32]) {
    #[derive(Clone, Copy)]
    struct Clip(f32);

    impl Elements<1> for Clip {
        #[inline(always)]
        fn step(self, _: f32, _: f32, [g]: [f32; 1]) -> [f32; 1] {
            let g = if g > self.0 { self.0 } else { g };
            [if g < -self.0 { -self.0 } else { g }]
        }
    }

    each(cpu, Clip(limit as f32), None, [gradient]);
}

/// Adds a gradient to its accumulator: a step of Keras's `gradient_accumulation_steps` that does
/// not update.
pub fn accumulate(cpu: Cpu, accumulator: &mut [f32], gradient: &[f32]) {
    #[derive(Clone, Copy)]
    struct Add;

    impl Elements<1> for Add {
        #[inline(always)]
        fn step(self, g: f32, _: f32, [sum]: [f32; 1]) -> [f32; 1] {
            [g + sum]
        }
    }

    each(cpu, Add, Some(gradient.into()), [accumulator]);
}

/// Ends an accumulation: the gradient becomes the mean over `steps` steps, this one's gradient
/// among them, and the accumulator 0.
pub fn end_accumulation(cpu: Cpu, steps: u32, gradient: &mut [f32], accumulator: &mut [f32]) {
    #[derive(Clone, Copy)]
    struct Mean(f32);

    impl Elements<2> for Mean {
        #[inline(always)]
        fn step(self, _: f32, _: f32, [g, sum]: [f32; 2]) -> [f32; 2] {
            [(g + sum) / self.0, 0.0]
        }
    }

    each(cpu, Mean(steps as f32), None, [gradient, accumulator]);
}
