//! Maxima and means of windows, vectorised over features.

use super::{Pooling, WindowPoolShape};
use crate::isa::{Kernel, Simd};
use crate::lanes::larger;
use crate::window::Taps;
use crate::{Cpu, DisjointMut};

/// Features of one strip.
const STRIP: usize = 64;
/// Output elements of one block, roughly.
const BLOCK: usize = 4096;

/// Writes what becomes of each window to `out`, `[batch, height, width, features]`. A window that
/// is all padding gives −∞ as its largest element and NaN as its mean.
///
/// # Panics
/// If a length does not fit the shape.
pub fn forward(cpu: Cpu, kind: Pooling, shape: &WindowPoolShape, x: &[f32], out: &mut [f32]) {
    let WindowPoolShape { height, width, features, .. } = *shape;
    height.window.check("window_pool");
    width.window.check("window_pool");
    assert_eq!(x.len(), shape.input_len(), "window_pool: the input's length");
    assert_eq!(out.len(), shape.output_len(), "window_pool: the output's length");
    if out.is_empty() {
        return;
    }
    let (lines, steps) = (height.outputs(), width.outputs());
    let image = height.len * width.len * features;
    let strip = (BLOCK / features).clamp(1, steps);
    let strips = steps.div_ceil(strip);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(shape.batch * lines * strips, &|block| {
        let (line, left) = (block / strips, block % strips * strip);
        let end = steps.min(left + strip);
        let start = line * steps;
        // SAFETY: each step of each line belongs to one block.
        let out = unsafe { parts.slice((start + left) * features..(start + end) * features) };
        let x = &x[line / lines * image..][..image];
        cpu.isa.run(Line { kind, shape, x, line: height.taps(line % lines), step: left, out });
    });
}

/// Some output steps of one line.
struct Line<'a> {
    kind: Pooling,
    shape: &'a WindowPoolShape,
    /// The image, `[height, width, features]`.
    x: &'a [f32],
    line: Taps,
    /// The first step.
    step: usize,
    /// `[steps, features]`.
    out: &'a mut [f32],
}

impl Kernel for Line<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Line { kind, shape, x, line, step, out } = self;
        let WindowPoolShape { width, features, .. } = *shape;
        for (index, out) in out.chunks_exact_mut(features).enumerate() {
            let taps = width.taps(step + index);
            let count = (line.count * taps.count) as f32;
            for (strip, out) in out.chunks_mut(STRIP).enumerate() {
                let elements = Elements { x, line, taps, width: width.len, features };
                let left = strip * STRIP;
                match kind {
                    Pooling::Max => elements.fold(left, out, f32::NEG_INFINITY, larger),
                    Pooling::Average => {
                        elements.fold(left, out, 0.0, |sum, value| sum + value);
                        out.iter_mut().for_each(|sum| *sum /= count);
                    }
                }
            }
        }
    }
}

/// The elements of one window.
struct Elements<'a> {
    x: &'a [f32],
    line: Taps,
    taps: Taps,
    /// Steps of a line of the input.
    width: usize,
    features: usize,
}

impl Elements<'_> {
    /// Folds the features from `left` on into `out`.
    #[inline(always)]
    fn fold(&self, left: usize, out: &mut [f32], start: f32, step: impl Fn(f32, f32) -> f32) {
        let Elements { x, line, taps, width, features } = *self;
        let mut folded = [start; STRIP];
        for plane in 0..line.count {
            let row = (line.input + plane * line.input_step) * width + taps.input;
            for tap in 0..taps.count {
                let from = (row + tap * taps.input_step) * features + left;
                let values = &x[from..from + out.len()];
                for (total, &value) in folded.iter_mut().zip(values) {
                    *total = step(*total, value);
                }
            }
        }
        out.copy_from_slice(&folded[..out.len()]);
    }
}
