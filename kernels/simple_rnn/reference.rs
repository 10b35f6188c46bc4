//! The simple cell as defined, one row at a time.

use crate::real::Real;
use crate::recurrent::reference::{Layer, activate, affine};

/// One step of one row: `x` `[input]`, state `h` `[units]`; returns the new h, and `c` untouched.
pub fn step<T: Real>(layer: &Layer<'_, T>, x: &[T], h: &[T], c: &[T]) -> (Vec<T>, Vec<T>) {
    let inputs = affine(x, layer.kernel, layer.bias);
    (activate(layer.activation, &affine(h, layer.recurrent, Some(&inputs))), c.to_vec())
}
