//! The fast form: rows of output in blocks, each the product of windows and the packed kernel.

use super::pack::{WIDTH, packed_len, panel_len, tap_place};
use super::{ConvCall, ConvShape, depthwise};
use crate::activation::Activation;
use crate::isa::{Isa, Kernel, Simd};
use crate::panel::{self, Left, Planes};
use crate::tile::{self, Out, Right, Start};
use crate::window::Taps;
use crate::{Cpu, DisjointMut};
use std::ops::Range;

/// Multiplications of a block, roughly: what is worth a thread's attention.
const BLOCK: usize = 1 << 17;
/// Blocks that a convolution is cut into at most where that makes them larger.
const BLOCKS: usize = 64;

/// Output steps of one block.
fn block_steps(shape: &ConvShape, lines: usize, steps: usize) -> usize {
    let step = shape.taps() * shape.inputs.div_ceil(shape.groups) * shape.filters;
    let all = shape.batch * lines * steps;
    let wanted = (BLOCK / step.max(1)).max(all / BLOCKS).max(tile::ROWS);
    steps.div_ceil(steps.div_ceil(wanted.next_multiple_of(tile::ROWS)).max(1)).max(1)
}

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
    let each = block_steps(shape, lines, steps);
    let strips = steps.div_ceil(each);
    // The epilogue of the product itself.
    let straight = Straight::of(cpu.isa, call);
    let inside = straight.is_some_and(|straight| straight.relu);
    let image = height.len * width.len * shape.inputs;
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(shape.batch * lines * strips, &|block| {
        let (line, left) = (block / strips, block % strips * each);
        let range = left..steps.min(left + each);
        let start = line * steps;
        // SAFETY: each step of each line belongs to one block.
        let out =
            unsafe { parts.slice((start + range.start) * filters..(start + range.end) * filters) };
        let x = &call.x[line / lines * image..][..image];
        let line = height.taps(line % lines);
        cpu.isa.run(Strip { call, x, line, steps: range, straight, out });
        if !inside {
            call.activation.apply(cpu.isa, out);
        }
    });
}

/// A convolution whose windows are runs of memory: each strip is one product of rows that overlap
/// with panels, with bias and `relu` in its epilogue.
#[derive(Clone, Copy)]
pub(super) struct Straight<'a> {
    isa: Isa,
    start: Start<'a>,
    relu: bool,
}

impl<'a> Straight<'a> {
    fn of(isa: Isa, call: &ConvCall<'a>) -> Option<Straight<'a>> {
        let ConvShape { height, width, filters, groups, .. } = call.shape;
        let runs = width.window.dilation == 1 && width.window.input_dilation == 1;
        let is_line = height.len == 1 && height.window.size == 1;
        // A bias of whole vectors can be read as such.
        let whole = filters % 16 == 0 || call.bias.is_none();
        (runs && is_line && groups == 1 && whole).then_some(Straight {
            isa,
            start: call.bias.map_or(Start::Zero, Start::Bias),
            relu: call.activation == Activation::Relu,
        })
    }
}

/// Some output steps of one line.
pub(super) struct Strip<'a> {
    pub(super) call: &'a ConvCall<'a>,
    /// The image, `[height, width, inputs]`.
    pub(super) x: &'a [f32],
    /// The taps of the first axis.
    pub(super) line: Taps,
    pub(super) steps: Range<usize>,
    /// Whether bias and activation are part of the product.
    straight: Option<Straight<'a>>,
    /// `[steps, filters]`.
    pub(super) out: &'a mut [f32],
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        if let Some(straight) = self.straight {
            return self.straight(straight);
        }
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

    /// The products of all windows, those together that lie inside the input.
    fn straight(&mut self, straight: Straight) {
        let width = self.call.shape.width;
        let (before, _) = width.window.padding_sizes(width.len);
        let last = (width.len + before).checked_sub(width.window.size);
        let inside = before.div_ceil(width.window.stride)
            ..last.map_or(0, |last| last / width.window.stride + 1);
        let mut step = self.steps.start;
        while step < self.steps.end {
            let next = if inside.contains(&step) { inside.end } else { step + 1 };
            let next = next.min(self.steps.end);
            let rows = step - self.steps.start..next - self.steps.start;
            self.run_of_windows(rows, width.taps(step), straight);
            step = next;
        }
    }

    /// The products of windows that stand side by side with the kernel.
    fn run_of_windows(&mut self, rows: Range<usize>, taps: Taps, straight: Straight) {
        let ConvShape { width, inputs, filters, .. } = self.call.shape;
        let left = tile::Left {
            values: self.x.get(taps.input * inputs..).unwrap_or_default(),
            rows: rows.len(),
            depth: taps.count * self.line.count * inputs,
            row_stride: width.window.stride * inputs,
            depth_stride: 1,
        };
        let right = Right {
            values: &self.call.packed[taps.first * inputs * WIDTH..],
            stride: WIDTH,
            columns: filters,
            panels: Some(panel_len(&self.call.shape)),
        };
        let values = DisjointMut::new(&mut self.out[rows.start * filters..rows.end * filters]);
        let out = Out { values, start: 0, stride: filters, relu: straight.relu };
        // SAFETY: the rows are this strip's.
        unsafe { tile::multiply(straight.isa, left, right, straight.start, out) };
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
