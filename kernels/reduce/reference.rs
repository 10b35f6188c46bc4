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
