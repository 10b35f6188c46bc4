//! The LSTM layer (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
//!
//! With σ the recurrent activation and φ the activation:
//! ```text
//! i = σ(x Wi + h Ri + bi)    f = σ(x Wf + h Rf + bf)    o = σ(x Wo + h Ro + bo)
//! c' = f c + i φ(x Wc + h Rc + bc)      h' = o φ(c')
//! ```

mod cpu;
pub mod reference;
pub mod training;

use crate::recurrent::panels::Panels;
use crate::recurrent::{self, Direction, InputWeights, RecurrentCall, assert_len};
use crate::{Cpu, Isa};

/// The weights of one direction of an LSTM layer, packed for an instruction set.
#[derive(Clone, Debug)]
pub struct LstmWeights {
    input: InputWeights,
    recurrent: Panels,
}

/// One direction of an LSTM layer.
pub type LstmDirection<'a> = Direction<'a, LstmWeights>;

/// A call of an LSTM layer.
pub type LstmCall<'a> = RecurrentCall<'a, LstmWeights>;

impl LstmWeights {
    /// Packs weights in Keras's layout, the gates in the order i f c o: `kernel`
    /// `[input, 4 * units]`, `recurrent` `[units, 4 * units]`, `bias` `[4 * units]`.
    ///
    /// # Panics
    /// If a slice does not have the length that the sizes say.
    pub fn pack(
        isa: Isa,
        input: usize,
        units: usize,
        kernel: &[f32],
        recurrent: &[f32],
        bias: Option<&[f32]>,
    ) -> LstmWeights {
        assert_len("recurrent kernel", recurrent.len(), &[units, 4 * units]);
        let input = InputWeights::pack(isa, (input, units, 4), isa.lanes(), kernel, bias);
        let recurrent = Panels::by_gate(isa, recurrent, 4, 0..4, (units, input.padded));
        LstmWeights { input, recurrent }
    }

    /// How many values of workspace a call with these weights needs.
    pub fn workspace_len(&self, directions: usize, batch: usize, time: usize) -> usize {
        recurrent::workspace_len(self, directions, batch, time)
    }
}

/// Computes a whole LSTM layer.
///
/// # Panics
/// If the weights were packed for another instruction set than `cpu` has, or a slice does not
/// have the length that its shape says.
pub fn forward(cpu: Cpu<'_>, call: LstmCall<'_>) {
    recurrent::forward(cpu, call);
}
