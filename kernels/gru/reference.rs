//! The GRU cell as defined, one row at a time.

use crate::real::Real;
use crate::recurrent::reference::{Layer, activate, affine};

/// One step of one row: `x` `[input]`, state `h` `[units]`; returns the new h, and `c` untouched.
pub fn step<T: Real>(layer: &Layer<'_, T>, x: &[T], h: &[T], c: &[T]) -> (Vec<T>, Vec<T>) {
    let (units, columns) = (layer.units, 3 * layer.units);
    let none = vec![T::zero(); columns];
    let (bias, recurrent_bias) = match layer.bias {
        Some(bias) if layer.reset_after => bias.split_at(columns),
        Some(bias) => (bias, &none[..]),
        None => (&none[..], &none[..]),
    };
    let inputs = affine(x, layer.kernel, Some(bias));
    let states = affine(h, layer.recurrent, Some(recurrent_bias));
    let gate = |index: usize| {
        let sums: Vec<T> = (index * units..(index + 1) * units)
            .map(|column| inputs[column] + states[column])
            .collect();
        activate(layer.recurrent_activation, &sums)
    };
    let (z, r) = (gate(0), gate(1));
    let sums: Vec<T> = if layer.reset_after {
        (0..units).map(|u| inputs[2 * units + u] + r[u] * states[2 * units + u]).collect()
    } else {
        let reset: Vec<T> = r.iter().zip(h).map(|(&r, &h)| r * h).collect();
        let products = affine(&reset, layer.recurrent, Some(&none));
        (0..units).map(|u| inputs[2 * units + u] + products[2 * units + u]).collect()
    };
    let g = activate(layer.activation, &sums);
    let next = (0..units).map(|u| z[u] * h[u] + (T::one() - z[u]) * g[u]).collect();
    (next, c.to_vec())
}
