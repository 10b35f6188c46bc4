//! Training of the simple recurrent layer; see
//! [`recurrent::training`](crate::recurrent::training): `d(x W + b) = φ'(h') dh'` and
//! `dh = d(x W + b) Rᵀ`.

use crate::Cpu;
use crate::isa::{Isa, Simd};
use crate::recurrent::training::{
    self, BackwardRow, ForwardRow, StepsBackward, StepsCall, StepsCell,
};

#[derive(Clone, Copy)]
struct Simple;

impl StepsCell for Simple {
    const GATES: usize = 1;
    const CELL_STATE: bool = false;

    #[inline(always)]
    fn forward_row<S: Simd>(self, row: ForwardRow<'_>) {
        let ForwardRow { activations, sums, next, gates, .. } = row;
        activations.apply_and_keep::<S>(activations.candidate, sums, gates);
        next.copy_from_slice(sums);
    }

    #[inline(always)]
    fn backward_row<S: Simd>(self, row: BackwardRow<'_>) {
        let BackwardRow { activations, units, gates, dh, d_sums, memory, .. } = row;
        let memory = &mut memory[..dh.len()];
        let y = activations.values::<S>(activations.candidate, gates, memory);
        activations.gradient(activations.candidate, gates, y, &dh[..units], d_sums);
        dh.fill(0.0);
    }
}

/// Values of [`StepsCall::saved`]: h before each step.
pub fn saved_len(batch: usize, time: usize, units: usize) -> usize {
    training::saved_len(Simple, batch, time, units)
}

/// Values of [`StepsCall::workspace`] for `[batch, time, units]`, with `dropout` sets of factors
/// (0 or 1).
pub fn workspace_len(isa: Isa, size: [usize; 3], dropout: usize) -> usize {
    training::workspace_len(Simple, isa, size, dropout)
}

/// Values of [`StepsBackward::workspace`], likewise; a call that does not ask for `d_products` needs
/// their size besides.
pub fn backward_workspace_len(isa: Isa, size: [usize; 3], dropout: usize) -> usize {
    training::backward_workspace_len(Simple, isa, size, dropout)
}

/// Computes all steps of one direction and keeps what [`backward`] needs.
///
/// # Panics
/// If a slice does not have the length that its shape says, there is a cell state or a recurrent
/// bias, or the activation is GLU.
pub fn forward(cpu: Cpu<'_>, call: StepsCall<'_>) {
    training::forward(cpu, Simple, call);
}

/// Computes the gradients of what [`forward`] took.
///
/// # Panics
/// As [`forward`].
pub fn backward(cpu: Cpu<'_>, call: StepsBackward<'_>) {
    training::backward(cpu, Simple, call);
}
