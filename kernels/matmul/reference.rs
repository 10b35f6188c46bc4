//! The product as defined.

use super::Size;
use crate::activation::{Activation, reference as activations};
use crate::real::Real;

/// `act(x · w + bias)` for `x` `[rows, depth]`, `w` `[depth, columns]`, `bias` `[columns]`.
pub fn matmul<T: Real>(
    size: Size,
    x: &[T],
    w: &[T],
    bias: Option<&[T]>,
    activation: Activation,
) -> Vec<T> {
    let mut y = Vec::with_capacity(size.rows * size.columns);
    for row in 0..size.rows {
        for column in 0..size.columns {
            let start = bias.map_or(T::zero(), |bias| bias[column]);
            let terms =
                (0..size.depth).map(|k| x[row * size.depth + k] * w[k * size.columns + column]);
            y.push(start + terms.sum());
        }
    }
    activations::apply_rows(activation, &y, size.columns)
}

/// The gradients of `y = x · w + bias` from that of `y`, `dy`: `(dx, dw, db)`.
pub fn backward<T: Real>(size: Size, x: &[T], w: &[T], dy: &[T]) -> (Vec<T>, Vec<T>, Vec<T>) {
    let Size { rows, depth, columns } = size;
    let mut dx = vec![T::zero(); rows * depth];
    let mut dw = vec![T::zero(); depth * columns];
    let mut db = vec![T::zero(); columns];
    for row in 0..rows {
        for column in 0..columns {
            let slope = dy[row * columns + column];
            db[column] += slope;
            for k in 0..depth {
                dx[row * depth + k] += slope * w[k * columns + column];
                dw[k * columns + column] += slope * x[row * depth + k];
            }
        }
    }
    (dx, dw, db)
}
