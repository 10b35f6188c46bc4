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
