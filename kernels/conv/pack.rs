//! The order in which the fast form reads a kernel.

use super::ConvShape;

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
    assert_eq!(packed.len(), packed_len(shape), "conv: the packed kernel's length");
    assert_eq!(kernel.len(), shape.kernel_len(), "conv: the kernel's length");
    if packed.is_empty() {
        return;
    }
    if shape.is_depthwise() {
        packed.copy_from_slice(kernel);
        return;
    }
    let depth = shape.inputs / shape.groups;
    let columns = shape.filters / shape.groups;
    let panels = columns.div_ceil(WIDTH);
    let taps = shape.width.window.size;
    for (index, panel) in packed.chunks_exact_mut(panel_len(shape)).enumerate() {
        let (group, left) = (index / panels, index % panels * WIDTH);
        let first = group * columns + left;
        let width = WIDTH.min(columns - left);
        for tap in 0..shape.taps() {
            let place = tap / taps * taps + tap_place(shape, tap % taps);
            let lines = panel[place * depth * WIDTH..].chunks_exact_mut(WIDTH);
            for (d, line) in lines.take(depth).enumerate() {
                let (filters, rest) = line.split_at_mut(width);
                for (f, value) in filters.iter_mut().enumerate() {
                    *value = kernel[shape.kernel_index(tap, d, first + f)];
                }
                rest.fill(0.0);
            }
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
            true => ((self.taps() - 1 - tap) * self.filters + filter) * self.inputs + input,
        }
    }
}
