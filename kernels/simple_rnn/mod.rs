//! The simple recurrent layer (Elman 1990): `h' = φ(x W + h R + b)`.

mod cpu;
pub mod reference;
pub mod training;

use crate::recurrent::panels::Panels;
use crate::recurrent::{self, Direction, InputWeights, RecurrentCall, assert_len};
use crate::{Cpu, Isa};

/// The weights of one direction of a simple recurrent layer, packed for an instruction set.
#[derive(Clone, Debug)]
pub struct SimpleRnnWeights {
    input: InputWeights,
    recurrent: Panels,
}

/// One direction of a simple recurrent layer.
pub type SimpleRnnDirection<'a> = Direction<'a, SimpleRnnWeights>;

/// A call of a simple recurrent layer.
pub type SimpleRnnCall<'a> = RecurrentCall<'a, SimpleRnnWeights>;

impl SimpleRnnWeights {
    /// Packs weights in Keras's layout: `kernel` `[input, units]`, `recurrent_kernel`
    /// `[units, units]`, `bias` `[units]`.
    ///
    /// # Panics
    /// If a slice does not have the length that the sizes say.
    pub fn pack(
        isa: Isa,
        input: usize,
        units: usize,
        kernel: &[f32],
        recurrent_kernel: &[f32],
        bias: Option<&[f32]>,
    ) -> SimpleRnnWeights {
        assert_len("recurrent kernel", recurrent_kernel.len(), &[units, units]);
        let panel = recurrent::plain_units(isa, units);
        SimpleRnnWeights {
            input: InputWeights::pack(isa, (input, units, 1), panel, kernel, bias),
            recurrent: Panels::plain(isa, recurrent_kernel, units, 0, units),
        }
    }

    /// How many values of workspace a call with these weights needs.
    pub fn workspace_len(&self, directions: usize, batch: usize, time: usize) -> usize {
        recurrent::workspace_len(self, directions, batch, time)
    }
}

/// Computes a whole simple recurrent layer.
///
/// # Panics
/// If the weights were packed for another instruction set than `cpu` has, a direction has a cell
/// state, or a slice does not have the length that its shape says.
pub fn forward(cpu: Cpu<'_>, call: SimpleRnnCall<'_>) {
    recurrent::forward(cpu, call);
}
