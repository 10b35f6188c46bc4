//! The plain definitions.

use super::{Axis, ConvBackward, ConvShape};
use crate::Real;

/// The element that tap `tap` of window `index` meets, if it is none of the padding.
fn meets(axis: &Axis, index: usize, tap: usize) -> Option<usize> {
    let window = axis.window;
    let before = window.padding_sizes(axis.len).0;
    let place = (index * window.stride + tap * window.dilation).checked_sub(before)?;
    let element = place / window.input_dilation;
    (place % window.input_dilation == 0 && element < axis.len).then_some(element)
}

/// The convolution without an activation, `[batch, height, width, filters]`, computed in `R`.
pub fn forward<T: Real, R: Real>(
    shape: &ConvShape,
    x: &[T],
    kernel: &[T],
    bias: Option<&[T]>,
) -> Vec<R> {
    let convert = |value: T| R::from_f64(value.to_f64());
    let ConvShape { batch, height, width, inputs, filters, groups, .. } = *shape;
    let (depth, taps) = (inputs / groups, width.window.size);
    let mut out = Vec::with_capacity(shape.output_len());
    for line in 0..batch * height.outputs() {
        let (b, line) = (line / height.outputs(), line % height.outputs());
        for step in 0..width.outputs() {
            for f in 0..filters {
                let group = f / (filters / groups);
                let mut sum = bias.map_or(R::zero(), |bias| convert(bias[f]));
                for tap in 0..height.window.size * taps {
                    let row = meets(&height, line, tap / taps);
                    let (Some(i), Some(j)) = (row, meets(&width, step, tap % taps)) else {
                        continue;
                    };
                    let at = ((b * height.len + i) * width.len + j) * inputs + group * depth;
                    for d in 0..depth {
                        let weight = kernel[shape.kernel_index(tap, d, f)];
                        sum += convert(x[at + d]) * convert(weight);
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

/// The gradients of the input, the kernel and the bias: every product of the convolution gives its
/// share to both of its factors.
pub fn backward<T: Real>(call: &ConvBackward<T>) -> (Vec<T>, Vec<T>, Vec<T>) {
    let ConvBackward { shape, x, kernel, dy } = *call;
    let ConvShape { batch, height, width, inputs, filters, groups, .. } = shape;
    let (depth, taps) = (inputs / groups, width.window.size);
    let mut dx = vec![T::zero(); x.len()];
    let mut dk = vec![T::zero(); kernel.len()];
    let mut db = vec![T::zero(); filters];
    let mut slopes = dy.iter();
    for line in 0..batch * height.outputs() {
        let (b, line) = (line / height.outputs(), line % height.outputs());
        for step in 0..width.outputs() {
            for (f, &slope) in slopes.by_ref().take(filters).enumerate() {
                let group = f / (filters / groups);
                db[f] += slope;
                for tap in 0..height.window.size * taps {
                    let row = meets(&height, line, tap / taps);
                    let (Some(i), Some(j)) = (row, meets(&width, step, tap % taps)) else {
                        continue;
                    };
                    let at = ((b * height.len + i) * width.len + j) * inputs + group * depth;
                    for d in 0..depth {
                        let weight = shape.kernel_index(tap, d, f);
                        dx[at + d] += slope * kernel[weight];
                        dk[weight] += slope * x[at + d];
                    }
                }
            }
        }
    }
    (dx, dk, db)
}
