//! The plain definitions.

use super::TakeBackward;
use crate::layout::{Index, SliceAxis};
use crate::real::Real;

/// The position that an index names: negative ones count from the end.
fn place<I: Index>(index: I, axis: usize) -> usize {
    let index = index.widen();
    (if index < 0 { index + axis as i64 } else { index }) as usize
}

/// The gradient of [`take`](crate::layout::take), `[outer, axis, inner]`.
pub fn take_backward<T: Real, I: Index>(call: &TakeBackward<T, I>) -> Vec<T> {
    let TakeBackward { dy, indices, outer, axis, inner } = *call;
    let mut dx = vec![T::zero(); outer * axis * inner];
    for row in 0..outer {
        for (i, &index) in indices.iter().enumerate() {
            for k in 0..inner {
                let from = (row * indices.len() + i) * inner + k;
                dx[(row * axis + place(index, axis)) * inner + k] += dy[from];
            }
        }
    }
    dx
}

/// The gradient of [`take_along_axis`](crate::layout::take_along_axis), `[outer, axis, inner]`.
pub fn take_along_axis_backward<T: Real, I: Index>(call: &TakeBackward<T, I>) -> Vec<T> {
    let TakeBackward { dy, indices, outer, axis, inner } = *call;
    let mut dx = vec![T::zero(); outer * axis * inner];
    let plane = (indices.len() / (outer * inner).max(1) * inner).max(1);
    for (position, (&value, &index)) in dy.iter().zip(indices).enumerate() {
        let row = position / plane * axis + place(index, axis);
        dx[row * inner + position % inner] += value;
    }
    dx
}

/// The gradient of [`slice`](crate::layout::slice), of shape `shape`.
pub fn slice_backward<T: Real>(dy: &[T], shape: &[usize], axes: &[SliceAxis]) -> Vec<T> {
    let mut dx = vec![T::zero(); shape.iter().product()];
    for (flat, &value) in dy.iter().enumerate() {
        let (mut rest, mut at, mut stride) = (flat, 0, 1);
        for (axis, &size) in axes.iter().zip(shape).rev() {
            let index = (rest % axis.count) as isize;
            at += (axis.start as isize + index * axis.step) as usize * stride;
            stride *= size;
            rest /= axis.count;
        }
        dx[at] += value;
    }
    dx
}
