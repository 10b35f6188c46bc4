//! The LSTM cell as defined, one row at a time.

use crate::real::Real;
use crate::recurrent::reference::{Layer, activate, affine};

/// One step of one row: `x` `[input]`, states `[units]`; returns the new (h, c).
pub fn step<T: Real>(layer: &Layer<'_, T>, x: &[T], h: &[T], c: &[T]) -> (Vec<T>, Vec<T>) {
    let units = layer.units;
    let inputs = affine(x, layer.kernel, layer.bias);
    let sums = affine(h, layer.recurrent, Some(&inputs));
    let gate =
        |index: usize, activation| activate(activation, &sums[index * units..(index + 1) * units]);
    let i = gate(0, layer.recurrent_activation);
    let f = gate(1, layer.recurrent_activation);
    let g = gate(2, layer.activation);
    let o = gate(3, layer.recurrent_activation);
    let c: Vec<T> = (0..units).map(|u| f[u] * c[u] + i[u] * g[u]).collect();
    let squashed = activate(layer.activation, &c);
    (o.iter().zip(squashed).map(|(&o, c)| o * c).collect(), c)
}
