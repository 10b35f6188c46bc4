//! The fast form: rows of output in blocks, each the product of windows and the packed kernel.

use super::pack::{WIDTH, packed_len, panel_len, tap_place};
use super::{ConvCall, ConvShape, depthwise};
use crate::isa::{Kernel, Simd};
use crate::panel::{self, Left, Planes};
use crate::window::Taps;
use crate::{Cpu, DisjointMut};
use std::ops::Range;

/// Output steps of one block.
const BLOCK: usize = 4 * panel::ROWS;

/// Writes `activation(x * kernel + bias)` to `out`, `[batch, height, width, filters]`.
///
/// # Panics
/// If a length does not fit the shape, or the activation works on rows rather than elements.
pub fn forward(cpu: Cpu, call: &ConvCall, out: &mut [f32]) {
    let ConvShape { height, width, .. } = call.shape;
    assert_eq!(out.len(), call.shape.output_len(), "conv: the output's length");
    run(cpu, call, [height.outputs(), width.outputs()], out);
}

/// Writes so many lines and steps of the output, whatever the padding behind would give.
pub(super) fn run(cpu: Cpu, call: &ConvCall, [lines, steps]: [usize; 2], out: &mut [f32]) {
    let shape = &call.shape;
    let ConvShape { height, width, filters, .. } = *shape;
    assert_eq!(call.packed.len(), packed_len(shape), "conv: the packed kernel's length");
    assert_eq!(call.x.len(), shape.input_len(), "conv: the input's length");
    assert_eq!(out.len(), shape.batch * lines * steps * filters, "conv: the output's length");
    assert!(call.bias.is_none_or(|bias| bias.len() == filters), "conv: the bias's length");
    assert!(call.activation.is_elementwise(), "conv: {:?} works on rows", call.activation);
    if out.is_empty() {
        return;
    }
    let strips = steps.div_ceil(BLOCK);
    let image = height.len * width.len * shape.inputs;
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(shape.batch * lines * strips, &|block| {
        let (line, left) = (block / strips, block % strips * BLOCK);
        let range = left..steps.min(left + BLOCK);
        let start = line * steps;
        // SAFETY: each step of each line belongs to one block.
        let out =
            unsafe { parts.slice((start + range.start) * filters..(start + range.end) * filters) };
        let x = &call.x[line / lines * image..][..image];
        cpu.isa.run(Strip { call, x, line: height.taps(line % lines), steps: range, out });
        call.activation.apply(cpu.isa, out);
    });
}

/// Some output steps of one line.
pub(super) struct Strip<'a> {
    pub(super) call: &'a ConvCall<'a>,
    /// The image, `[height, width, inputs]`.
    pub(super) x: &'a [f32],
    /// The taps of the first axis.
    pub(super) line: Taps,
    pub(super) steps: Range<usize>,
    /// `[steps, filters]`.
    pub(super) out: &'a mut [f32],
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        if self.call.shape.is_depthwise() {
            depthwise::strip(simd, &mut self);
        } else {
            self.products(simd);
        }
        if let Some(bias) = self.call.bias {
            for row in self.out.chunks_exact_mut(self.call.shape.filters) {
                row.iter_mut().zip(bias).for_each(|(value, &bias)| *value += bias);
            }
        }
    }
}

impl Strip<'_> {
    #[inline(always)]
    fn products<S: Simd>(&mut self, simd: S) {
        let ConvShape { width, filters, .. } = self.call.shape;
        let (period, count) = (width.window.period(), self.steps.len());
        for phase in 0..period.min(count) {
            let mut step = phase;
            while step < count {
                let taps = width.taps(self.steps.start + step);
                // Windows that the same taps meet are taken together.
                let mut rows = 1;
                let mut next = step + period;
                while next < count && same(&width.taps(self.steps.start + next), &taps) {
                    rows += 1;
                    next += period;
                }
                if taps.count * self.line.count == 0 {
                    for row in (step..next).step_by(period) {
                        self.out[row * filters..(row + 1) * filters].fill(0.0);
                    }
                } else {
                    self.windows(simd, step, rows, taps);
                }
                step = next;
            }
        }
    }

    /// The products of `rows` windows, from that of step `step` of the strip on, with the kernel;
    /// only `taps` meet the input.
    #[inline(always)]
    fn windows<S: Simd>(&mut self, simd: S, step: usize, rows: usize, taps: Taps) {
        let Strip { call, x, line, .. } = *self;
        let ConvShape { width, inputs, filters, groups, .. } = call.shape;
        let (depth, columns) = (inputs / groups, filters / groups);
        let first = (line.input * width.len + taps.input) * inputs;
        let row_stride = width.window.period_input() * inputs;
        let (tap_stride, row_len) = (taps.input_step * inputs, depth * WIDTH);
        let planes = Planes {
            count: line.count,
            left_stride: line.input_step * width.len * inputs,
            right_stride: line.step * width.window.size * row_len,
        };
        let kernel = line.first * width.window.size + tap_place(&call.shape, taps.first);
        let panel_len = panel_len(&call.shape);
        let out = &mut self.out[step * filters..];
        for group in 0..groups {
            let values = &x[first + group * depth..];
            let left = if groups == 1 && taps.input_step == 1 {
                let depth = taps.count * depth;
                Left { values, rows, row_stride, tap_stride, taps: 1, depth }
            } else {
                Left { values, rows, row_stride, tap_stride, taps: taps.count, depth }
            };
            for (index, column) in (0..columns).step_by(WIDTH).enumerate() {
                let panel = (group * columns.div_ceil(WIDTH) + index) * panel_len;
                let right = &call.packed[panel + kernel * row_len..panel + panel_len];
                let count = WIDTH.min(columns - column);
                let out = &mut out[group * columns + column..];
                let out_stride = width.window.period() * filters;
                panel::multiply_planes(simd, left, planes, right, WIDTH, count, out, out_stride);
            }
        }
    }
}

/// Whether two windows meet the input with the same taps.
#[inline(always)]
fn same(a: &Taps, b: &Taps) -> bool {
    (a.first, a.count) == (b.first, b.count)
}
