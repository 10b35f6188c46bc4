//! The fast form: rows of output in blocks, each the product of windows and the packed kernel.

use super::{Conv1dCall, Conv1dShape};
use crate::isa::{Kernel, Simd};
use crate::panel::{self, Left};
use crate::{Cpu, DisjointMut};
use std::ops::Range;

/// Output steps of one block.
const BLOCK: usize = 4 * panel::ROWS;
/// Columns of the kernel that lie side by side when packed.
const WIDTH: usize = 32;

/// How many values [`pack`] writes.
pub fn packed_len(shape: &Conv1dShape) -> usize {
    shape.check();
    let columns = shape.filters / shape.groups;
    shape.groups * columns.div_ceil(WIDTH) * panel_len(shape)
}

fn panel_len(shape: &Conv1dShape) -> usize {
    shape.kernel_size * (shape.inputs / shape.groups) * WIDTH
}

/// Brings a kernel `[kernel_size, inputs / groups, filters]` into the order that [`forward`]
/// reads: for each group panels of 32 filters, padded with 0, whose rows are the kernel's.
///
/// # Panics
/// If a length does not fit the shape.
pub fn pack(shape: &Conv1dShape, kernel: &[f32], packed: &mut [f32]) {
    let Conv1dShape { filters, groups, .. } = *shape;
    assert_eq!(packed.len(), packed_len(shape), "conv1d: the packed kernel's length");
    let rows = panel_len(shape) / WIDTH;
    assert_eq!(kernel.len(), rows * filters, "conv1d: the kernel's length");
    if packed.is_empty() {
        return;
    }
    let columns = filters / groups;
    let panels = columns.div_ceil(WIDTH);
    for (index, panel) in packed.chunks_exact_mut(rows * WIDTH).enumerate() {
        let (group, left) = (index / panels, index % panels * WIDTH);
        let width = WIDTH.min(columns - left);
        for (row, line) in panel.chunks_exact_mut(WIDTH).enumerate() {
            let start = row * filters + group * columns + left;
            line[..width].copy_from_slice(&kernel[start..start + width]);
            line[width..].fill(0.0);
        }
    }
}

/// Writes `activation(x * kernel + bias)` to `out`, `[batch, out_time, filters]`.
///
/// # Panics
/// If a length does not fit the shape, or the activation works on rows rather than elements.
pub fn forward(cpu: Cpu, call: &Conv1dCall, out: &mut [f32]) {
    let shape = &call.shape;
    let Conv1dShape { batch, time, inputs, filters, .. } = *shape;
    assert_eq!(call.packed.len(), packed_len(shape), "conv1d: the packed kernel's length");
    assert_eq!(call.x.len(), batch * time * inputs, "conv1d: the input's length");
    let out_time = shape.out_time();
    assert_eq!(out.len(), batch * out_time * filters, "conv1d: the output's length");
    assert!(call.bias.is_none_or(|bias| bias.len() == filters), "conv1d: the bias's length");
    assert!(call.activation.is_elementwise(), "conv1d: {:?} works on rows", call.activation);
    if out.is_empty() {
        return;
    }
    let strips = out_time.div_ceil(BLOCK);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(batch * strips, &|block| {
        let (b, top) = (block / strips, block % strips * BLOCK);
        let steps = top..out_time.min(top + BLOCK);
        let range = (b * out_time + steps.start) * filters..(b * out_time + steps.end) * filters;
        // SAFETY: each step of each sequence belongs to one block.
        let out = unsafe { parts.slice(range) };
        let x = &call.x[b * time * inputs..(b + 1) * time * inputs];
        cpu.isa.run(Strip { call, x, steps, out });
        call.activation.apply(cpu.isa, out);
    });
}

/// Some output steps of one sequence.
struct Strip<'a> {
    call: &'a Conv1dCall<'a>,
    /// The sequence, `[time, inputs]`.
    x: &'a [f32],
    steps: Range<usize>,
    /// `[steps, filters]`.
    out: &'a mut [f32],
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Strip { call, x, steps, out } = self;
        let filters = call.shape.filters;
        let mut step = steps.start;
        while step < steps.end {
            let taps = taps(&call.shape, step);
            // Steps whose windows lie inside the input are taken together.
            let mut rows = 1;
            if taps.len() == call.shape.kernel_size {
                while step + rows < steps.end && self::taps(&call.shape, step + rows) == taps {
                    rows += 1;
                }
            }
            let at = (step - steps.start) * filters;
            let part = &mut out[at..at + rows * filters];
            if taps.is_empty() {
                part.fill(0.0);
            } else {
                windows(simd, call, x, step, rows, taps, part);
            }
            step += rows;
        }
        if let Some(bias) = call.bias {
            for row in out.chunks_exact_mut(filters) {
                row.iter_mut().zip(bias).for_each(|(value, &bias)| *value += bias);
            }
        }
    }
}

/// The taps that meet the input, rather than its padding, at an output step.
#[inline(always)]
fn taps(shape: &Conv1dShape, step: usize) -> Range<usize> {
    let before = shape.padding_sizes().0;
    let at = step * shape.stride;
    let start = before.saturating_sub(at).div_ceil(shape.dilation);
    let end = (before + shape.time).saturating_sub(at).div_ceil(shape.dilation);
    let end = end.min(shape.kernel_size);
    start.min(end)..end
}

/// The products of `rows` windows, from that of `step` on, with the kernel; only `taps` meet the
/// input.
#[inline(always)]
fn windows<S: Simd>(
    simd: S,
    call: &Conv1dCall,
    x: &[f32],
    step: usize,
    rows: usize,
    taps: Range<usize>,
    out: &mut [f32],
) {
    let Conv1dShape { inputs, filters, stride, dilation, groups, .. } = call.shape;
    let depth = inputs / groups;
    let columns = filters / groups;
    let first = step * stride + taps.start * dilation - call.shape.padding_sizes().0;
    let panel_len = panel_len(&call.shape);
    for group in 0..groups {
        let values = &x[first * inputs + group * depth..];
        let (row_stride, tap_stride) = (stride * inputs, dilation * inputs);
        let left = if groups == 1 && dilation == 1 {
            Left { values, rows, row_stride, tap_stride, taps: 1, depth: taps.len() * depth }
        } else {
            Left { values, rows, row_stride, tap_stride, taps: taps.len(), depth }
        };
        for (index, column) in (0..columns).step_by(WIDTH).enumerate() {
            let panel = (group * columns.div_ceil(WIDTH) + index) * panel_len;
            let right = &call.packed[panel + taps.start * depth * WIDTH..panel + panel_len];
            let width = WIDTH.min(columns - column);
            let out = &mut out[group * columns + column..];
            panel::multiply(simd, left, right, WIDTH, width, out, filters);
        }
    }
}
