//! The order in which the fast form reads a kernel.

use super::ConvShape;
use crate::Cpu;

/// Columns of the kernel that lie side by side when packed.
pub(super) const WIDTH: usize = 32;

/// How many values [`pack`] writes.
///
/// # Panics
/// If the sizes do not suit each other.
pub fn packed_len(shape: &ConvShape) -> usize {
    shape.check();
    if shape.is_depthwise() {
        return shape.taps() * shape.filters;
    }
    let columns = shape.filters / shape.groups;
    shape.groups * columns.div_ceil(WIDTH) * panel_len(shape)
}

/// The length of a panel of [`WIDTH`] filters.
pub(super) fn panel_len(shape: &ConvShape) -> usize {
    shape.taps() * (shape.inputs / shape.groups) * WIDTH
}

/// Where tap `tap` of the second axis stands among its packed taps: those that meet the input at
/// the same time stand side by side.
pub(super) fn tap_place(shape: &ConvShape, tap: usize) -> usize {
    let (size, period) = (shape.width.window.size, shape.width.window.tap_period());
    let class = tap % period;
    // A class has one tap more than `size / period` while it is below the remainder.
    class * (size / period) + class.min(size % period) + tap / period
}

/// Brings a kernel into the order that [`forward`](super::forward) reads: for each group panels of
/// 32 filters, padded with 0, whose rows are the kernel's. A depthwise kernel stays as it is.
///
/// # Panics
/// If a length does not fit the shape.
pub fn pack(shape: &ConvShape, kernel: &[f32], packed: &mut [f32]) {
    check(shape, kernel, packed);
    match (packed.is_empty(), shape.is_depthwise()) {
        (true, _) => {}
        (_, true) => pack_depthwise(shape, kernel, packed),
        (_, false) => {
            let panels = packed.chunks_exact_mut(panel_len(shape)).enumerate();
            panels.for_each(|(index, panel)| pack_panel(shape, kernel, index, panel));
        }
    }
}

/// [`pack`] on all threads.
pub(super) fn pack_on(cpu: Cpu, shape: &ConvShape, kernel: &[f32], packed: &mut [f32]) {
    check(shape, kernel, packed);
    match (packed.is_empty(), shape.is_depthwise()) {
        (true, _) => {}
        (_, true) => pack_depthwise(shape, kernel, packed),
        (_, false) => cpu.pool.for_each_chunk(packed, panel_len(shape), &|index, panel| {
            pack_panel(shape, kernel, index, panel);
        }),
    }
}

fn check(shape: &ConvShape, kernel: &[f32], packed: &[f32]) {
    assert_eq!(packed.len(), packed_len(shape), "conv: the packed kernel's length");
    assert_eq!(kernel.len(), shape.kernel_len(), "conv: the kernel's length");
}

fn pack_depthwise(shape: &ConvShape, kernel: &[f32], packed: &mut [f32]) {
    if !shape.transposed {
        return packed.copy_from_slice(kernel);
    }
    for (index, value) in packed.iter_mut().enumerate() {
        *value = kernel[shape.kernel_index(index / shape.filters, 0, index % shape.filters)];
    }
}

/// Writes one panel of [`WIDTH`] filters of a group.
fn pack_panel(shape: &ConvShape, kernel: &[f32], index: usize, panel: &mut [f32]) {
    let depth = shape.inputs / shape.groups;
    let columns = shape.filters / shape.groups;
    let panels = columns.div_ceil(WIDTH);
    let taps = shape.width.window.size;
    let (group, left) = (index / panels, index % panels * WIDTH);
    let first = group * columns + left;
    let width = WIDTH.min(columns - left);
    // From a filter of a group to the next.
    let stride = if shape.transposed { shape.inputs } else { 1 };
    for tap in 0..shape.taps() {
        let place = tap / taps * taps + tap_place(shape, tap % taps);
        let lines = panel[place * depth * WIDTH..].chunks_exact_mut(WIDTH);
        for (d, line) in lines.take(depth).enumerate() {
            let (filters, rest) = line.split_at_mut(width);
            let weights = &kernel[shape.kernel_index(tap, d, first)..];
            match stride {
                1 => filters.copy_from_slice(&weights[..width]),
                _ => {
                    let weights = weights.iter().step_by(stride);
                    filters.iter_mut().zip(weights).for_each(|(to, &weight)| *to = weight);
                }
            }
            rest.fill(0.0);
        }
    }
}

impl ConvShape {
    /// Where the kernel holds the weight of a tap (counted over both axes), an input feature of its
    /// group and a filter.
    pub(super) fn kernel_index(&self, tap: usize, input: usize, filter: usize) -> usize {
        match self.transposed {
            false => (tap * (self.inputs / self.groups) + input) * self.filters + filter,
            // Reversing both axes reverses the taps as they are counted.
            true => {
                let (depth, columns) = (self.inputs / self.groups, self.filters / self.groups);
                let (group, filter) = (filter / columns, filter % columns);
                let row = (self.taps() - 1 - tap) * columns + filter;
                row * self.inputs + group * depth + input
            }
        }
    }
}
