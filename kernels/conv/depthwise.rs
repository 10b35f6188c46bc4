//! Convolution of each input feature on its own, vectorised over features.

use super::cpu::Strip;
use crate::isa::Simd;
use crate::window::Taps;

/// Writes a strip of a depthwise convolution without its bias.
#[inline(always)]
pub(super) fn strip<S: Simd>(simd: S, strip: &mut Strip) {
    let shape = strip.call.shape;
    let first = strip.steps.start;
    for (index, out) in strip.out.chunks_exact_mut(shape.filters).enumerate() {
        let meets = Meets {
            x: strip.x,
            kernel: strip.call.packed,
            line: strip.line,
            taps: shape.width.taps(first + index),
            input_line: shape.width.len,
            kernel_line: shape.width.window.size,
            inputs: shape.inputs,
            filters: shape.filters,
        };
        match shape.filters == shape.inputs {
            true => meets.single(simd, out),
            false => meets.several::<S>(out),
        }
    }
}

/// What one output step meets.
struct Meets<'a> {
    x: &'a [f32],
    kernel: &'a [f32],
    line: Taps,
    taps: Taps,
    /// Steps of a line of the input.
    input_line: usize,
    /// Taps of a line of the kernel.
    kernel_line: usize,
    inputs: usize,
    filters: usize,
}

impl<'a> Meets<'a> {
    /// The step of the input and the tap of the kernel of each meeting, in order.
    #[inline(always)]
    fn each(&self, mut visit: impl FnMut(&'a [f32], &'a [f32])) {
        let Meets { x, kernel, line, taps, input_line, kernel_line, inputs, filters } = *self;
        for plane in 0..line.count {
            let row = (line.input + plane * line.input_step) * input_line + taps.input;
            let tap_row = (line.first + plane * line.step) * kernel_line + taps.first;
            for tap in 0..taps.count {
                let from = (row + tap * taps.input_step) * inputs;
                let weight = (tap_row + tap * taps.step) * filters;
                visit(&x[from..from + inputs], &kernel[weight..weight + filters]);
            }
        }
    }

    /// One filter for each input feature.
    #[inline(always)]
    fn single<S: Simd>(&self, simd: S, out: &mut [f32]) {
        let mut column = 0;
        while column + 4 * S::LANES <= out.len() {
            self.columns::<S, 4>(simd, column, out);
            column += 4 * S::LANES;
        }
        while column + S::LANES <= out.len() {
            self.columns::<S, 1>(simd, column, out);
            column += S::LANES;
        }
        let rest = &mut out[column..];
        rest.fill(0.0);
        self.each(|x, kernel| {
            for (sum, (&x, &weight)) in
                rest.iter_mut().zip(x[column..].iter().zip(&kernel[column..]))
            {
                *sum = S::fma(x, weight, *sum);
            }
        });
    }

    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&self, simd: S, column: usize, out: &mut [f32]) {
        let mut sums = [simd.splat(0.0); V];
        self.each(|x, kernel| {
            let (x, kernel) = (&x[column..], &kernel[column..]);
            for (v, sum) in sums.iter_mut().enumerate() {
                let (x, weight) =
                    (simd.load(&x[v * S::LANES..]), simd.load(&kernel[v * S::LANES..]));
                *sum = simd.mul_add(x, weight, *sum);
            }
        });
        for (v, &sum) in sums.iter().enumerate() {
            simd.store(sum, &mut out[column + v * S::LANES..]);
        }
    }

    /// Several filters for each input feature, which stand side by side.
    #[inline(always)]
    fn several<S: Simd>(&self, out: &mut [f32]) {
        let multiplier = self.filters / self.inputs;
        out.fill(0.0);
        self.each(|x, kernel| {
            let features = out.chunks_exact_mut(multiplier).zip(kernel.chunks_exact(multiplier));
            for (&x, (sums, weights)) in x.iter().zip(features) {
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    *sum = S::fma(x, weight, *sum);
                }
            }
        });
    }
}
