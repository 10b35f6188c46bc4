//! The plain definitions: every output element is looked up by its index.

use super::SliceAxis;

/// Calls `visit` with every index of `shape`, the last axis fastest.
fn for_each_index(shape: &[usize], mut visit: impl FnMut(&[usize])) {
    let count: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    for flat in 0..count {
        let mut rest = flat;
        for axis in (0..shape.len()).rev() {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        visit(&index);
    }
}

/// The position of `index` in a dense tensor.
fn flatten(shape: &[usize], index: &[usize]) -> usize {
    shape.iter().zip(index).fold(0, |flat, (&size, &i)| flat * size + i)
}

/// Axis `i` of the result is axis `permutation[i]` of `x`.
pub fn transpose<T: Copy>(x: &[T], shape: &[usize], permutation: &[usize]) -> Vec<T> {
    let out_shape: Vec<usize> = permutation.iter().map(|&axis| shape[axis]).collect();
    let mut out = Vec::new();
    let mut from = vec![0; shape.len()];
    for_each_index(&out_shape, |index| {
        for (&axis, &i) in permutation.iter().zip(index) {
            from[axis] = i;
        }
        out.push(x[flatten(shape, &from)]);
    });
    out
}

/// The elements that `axes` name, one entry an axis of `shape`.
pub fn slice<T: Copy>(x: &[T], shape: &[usize], axes: &[SliceAxis]) -> Vec<T> {
    let out_shape: Vec<usize> = axes.iter().map(|axis| axis.count).collect();
    let mut out = Vec::new();
    for_each_index(&out_shape, |index| {
        let from: Vec<usize> = axes
            .iter()
            .zip(index)
            .map(|(axis, &i)| (axis.start as isize + axis.step * i as isize) as usize)
            .collect();
        out.push(x[flatten(shape, &from)]);
    });
    out
}

/// `x` repeated along the axes in which `shape` is 1 (or missing in front) and `out_shape` is not.
pub fn broadcast_to<T: Copy>(x: &[T], shape: &[usize], out_shape: &[usize]) -> Vec<T> {
    let skip = out_shape.len() - shape.len();
    let mut out = Vec::new();
    for_each_index(out_shape, |index| {
        let from: Vec<usize> = shape
            .iter()
            .zip(&index[skip..])
            .map(|(&size, &i)| if size == 1 { 0 } else { i })
            .collect();
        out.push(x[flatten(shape, &from)]);
    });
    out
}

/// `x` with `value` around it: `before[i]` and `after[i]` elements along axis `i`.
pub fn pad<T: Copy>(
    x: &[T],
    shape: &[usize],
    before: &[usize],
    after: &[usize],
    value: T,
) -> Vec<T> {
    let out_shape: Vec<usize> = (0..shape.len()).map(|i| before[i] + shape[i] + after[i]).collect();
    let mut out = Vec::new();
    for_each_index(&out_shape, |index| {
        let inside =
            (0..shape.len()).all(|i| (before[i]..before[i] + shape[i]).contains(&index[i]));
        let from: Vec<usize> = index.iter().zip(before).map(|(&i, &b)| i.wrapping_sub(b)).collect();
        out.push(if inside { x[flatten(shape, &from)] } else { value });
    });
    out
}
