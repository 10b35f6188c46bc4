//! The plain definition.

use super::Extent;

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
