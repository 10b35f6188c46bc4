//! The plain definitions, of the gradients too.

use super::Extent;
use crate::real::Real;

/// Folds the values of each line along the axis, in order.
pub fn reduce<T: Copy, R: Copy>(
    x: &[T],
    extent: Extent,
    start: R,
    step: impl Fn(R, T) -> R,
) -> Vec<R> {
    let Extent { outer, axis, inner } = extent;
    let mut out = Vec::with_capacity(outer * inner);
    for row in 0..outer {
        for column in 0..inner {
            let line = (0..axis).map(|i| x[(row * axis + i) * inner + column]);
            out.push(line.fold(start, &step));
        }
    }
    out
}

/// The fold up to and with each position of the axis.
pub fn scan<T: Copy, R: Copy>(
    x: &[T],
    extent: Extent,
    start: R,
    step: impl Fn(R, T) -> R,
) -> Vec<R> {
    let Extent { outer, axis, inner } = extent;
    let mut out = vec![start; outer * axis * inner];
    for row in 0..outer {
        for column in 0..inner {
            let mut total = start;
            for i in 0..axis {
                let at = (row * axis + i) * inner + column;
                total = step(total, x[at]);
                out[at] = total;
            }
        }
    }
    out
}

/// The sum of `x`, of shape `from`, to the shape `to`, which broadcasts to it.
pub fn sum_to<T: Real>(x: &[T], from: &[usize], to: &[usize]) -> Vec<T> {
    let skip = from.len() - to.len();
    let mut out = vec![T::zero(); to.iter().product()];
    for (flat, &value) in x.iter().enumerate() {
        let (mut rest, mut at, mut stride) = (flat, 0, 1);
        for axis in (0..from.len()).rev() {
            let own = if axis < skip { 1 } else { to[axis - skip] };
            at += if own == 1 { 0 } else { rest % from[axis] * stride };
            stride *= own;
            rest /= from[axis];
        }
        out[at] += value;
    }
    out
}

/// Calls `change` with the values of each line along the axis, its number and what it becomes.
fn map_lines<T: Real>(x: &[T], extent: Extent, change: impl Fn(usize, &[T]) -> Vec<T>) -> Vec<T> {
    let Extent { outer, axis, inner } = extent;
    let mut out = vec![T::zero(); x.len()];
    for row in 0..outer {
        for column in 0..inner {
            let at = |i: usize| (row * axis + i) * inner + column;
            let line: Vec<T> = (0..axis).map(|i| x[at(i)]).collect();
            for (i, value) in change(row * inner + column, &line).into_iter().enumerate() {
                out[at(i)] = value;
            }
        }
    }
    out
}

/// The gradient of the extrema `y`: split evenly among the elements that equal theirs.
pub fn extremum_backward<T: Real>(x: &[T], y: &[T], dy: &[T], extent: Extent) -> Vec<T> {
    map_lines(x, extent, |at, line| {
        let equals: Vec<T> =
            line.iter().map(|&v| if v == y[at] { T::one() } else { T::zero() }).collect();
        let count: T = equals.iter().copied().sum();
        equals.into_iter().map(|equal| equal / count * dy[at]).collect()
    })
}

/// The gradient of products: that of `dy` times the product of the other elements.
pub fn prod_backward<T: Real>(x: &[T], dy: &[T], extent: Extent) -> Vec<T> {
    map_lines(x, extent, |at, line| {
        let others = |i: usize| {
            let others = line.iter().enumerate().filter(|&(j, _)| j != i);
            others.fold(dy[at], |product, (_, &v)| product * v)
        };
        (0..line.len()).map(others).collect()
    })
}

/// The gradient of running sums: sums from each position to the end.
pub fn cumsum_backward<T: Real>(dy: &[T], extent: Extent) -> Vec<T> {
    map_lines(dy, extent, |_, line| {
        (0..line.len()).map(|i| line[i..].iter().copied().sum()).collect()
    })
}
