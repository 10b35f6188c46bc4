//! The plain definitions, element by element.

use super::ElementsCall;
use crate::layout::Index;

/// The coordinates of element `position` of a tensor.
fn coordinates(position: usize, shape: &[usize]) -> Vec<usize> {
    let strides = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product::<usize>());
    strides.zip(shape).map(|(stride, size)| position / stride % size).collect()
}

/// The position of an element of a tensor.
fn position(coordinates: &[usize], shape: &[usize]) -> usize {
    coordinates.iter().zip(shape).fold(0, |at, (own, size)| at * size + own)
}

/// `x` with elements combined with updates; every index must be on its axis.
pub fn scatter_elements<T: Copy, I: Index>(
    call: ElementsCall<I>,
    updates: &[T],
    x: &[T],
    combine: impl Fn(T, T) -> T,
) -> Vec<T> {
    let mut out = x.to_vec();
    for (place, &update) in updates.iter().enumerate() {
        let mut to = coordinates(place, call.indices_shape);
        let size = call.shape[call.axis] as i64;
        to[call.axis] = call.indices[place].widen().rem_euclid(size) as usize;
        let at = position(&to, call.shape);
        out[at] = combine(out[at], update);
    }
    out
}

/// `x`, `[sizes…, inner]`, with slices combined with updates; every position must be on its axis.
pub fn scatter_nd<T: Copy, I: Index>(
    indices: &[I],
    sizes: &[usize],
    inner: usize,
    updates: &[T],
    x: &[T],
    combine: impl Fn(T, T) -> T,
) -> Vec<T> {
    let mut out = x.to_vec();
    for (place, &update) in updates.iter().enumerate() {
        let (slice, element) = (place / inner, place % inner);
        let tuple = &indices[slice * sizes.len()..][..sizes.len()];
        let wrapped = tuple.iter().zip(sizes);
        let to: Vec<usize> =
            wrapped.map(|(own, &size)| own.widen().rem_euclid(size as i64) as usize).collect();
        let at = position(&to, sizes) * inner + element;
        out[at] = combine(out[at], update);
    }
    out
}
