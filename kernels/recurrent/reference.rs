//! Recurrent layers as Keras defines them, one row and one step at a time.

use crate::activation::{Activation, reference as activations};
use crate::real::Real;

/// The weights and attributes of one direction, in Keras's layout.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a, T> {
    /// Units of the layer.
    pub units: usize,
    /// `[input, gates * units]`.
    pub kernel: &'a [T],
    /// `[units, gates * units]`.
    pub recurrent: &'a [T],
    /// `[gates * units]`, or for a GRU with `reset_after` `[2, gates * units]`.
    pub bias: Option<&'a [T]>,
    /// The activation of the candidate and of the output.
    pub activation: Activation,
    /// The activation of the gates.
    pub recurrent_activation: Activation,
    /// GRU only: whether the reset gate acts behind the recurrent product.
    pub reset_after: bool,
    /// Whether time runs backward.
    pub backward: bool,
    /// Whether masked steps output zeros.
    pub zero_output_for_mask: bool,
}

/// What a layer gives for one row.
#[derive(Clone, Debug)]
pub struct Outputs<T> {
    /// `[time, units]`, each output at its own step.
    pub sequence: Vec<T>,
    /// `[units]`.
    pub last: Vec<T>,
    /// The final state h.
    pub h: Vec<T>,
    /// The final state c; what was given for it where the cell has none.
    pub c: Vec<T>,
}

/// A cell's step: (layer, x, h, c) to the new (h, c).
pub type StepFn<T> = fn(&Layer<'_, T>, &[T], &[T], &[T]) -> (Vec<T>, Vec<T>);

/// Runs one row `x` `[time, input]` through a layer.
pub fn forward<T: Real>(
    layer: &Layer<'_, T>,
    step: StepFn<T>,
    (x, time): (&[T], usize),
    mask: Option<&[u8]>,
    (mut h, mut c): (Vec<T>, Vec<T>),
) -> Outputs<T> {
    let (units, input) = (layer.units, x.len() / time.max(1));
    let mut output = vec![T::zero(); units];
    let mut sequence = vec![T::zero(); time * units];
    for index in 0..time {
        let t = if layer.backward { time - 1 - index } else { index };
        if mask.is_none_or(|mask| mask[t] != 0) {
            (h, c) = step(layer, &x[t * input..(t + 1) * input], &h, &c);
            output = h.clone();
        } else if layer.zero_output_for_mask {
            output = vec![T::zero(); units];
        }
        sequence[t * units..(t + 1) * units].copy_from_slice(&output);
    }
    Outputs { sequence, last: output, h, c }
}

/// `x · matrix + bias` for a matrix `[x.len(), columns]`; the bias or the matrix says the width.
pub fn affine<T: Real>(x: &[T], matrix: &[T], bias: Option<&[T]>) -> Vec<T> {
    let columns = bias.map_or(matrix.len() / x.len().max(1), <[T]>::len);
    let mut sums = bias.map_or_else(|| vec![T::zero(); columns], <[T]>::to_vec);
    for (row, &x) in matrix.chunks_exact(columns.max(1)).zip(x) {
        for (sum, &weight) in sums.iter_mut().zip(row) {
            *sum += x * weight;
        }
    }
    sums
}

/// An activation of one row.
pub fn activate<T: Real>(activation: Activation, row: &[T]) -> Vec<T> {
    activations::apply_rows(activation, row, row.len())
}
