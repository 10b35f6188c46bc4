//! The GRU layer (Cho et al. 2014), in both forms of the reset gate.
//!
//! With σ the recurrent activation and φ the activation:
//! ```text
//! z = σ(x Wz + h Rz + bz)    r = σ(x Wr + h Rr + br)
//! g = φ(x Wh + bh + r (h Rh + b'h))      reset_after, as in cuDNN; bz and br are sums of two
//! g = φ(x Wh + bh + (r h) Rh)            not reset_after
//! h' = z h + (1 - z) g
//! ```

mod cpu;
pub mod reference;
pub mod training;

use crate::recurrent::panels::Panels;
use crate::recurrent::{self, Direction, InputWeights, RecurrentCall, assert_len};
use crate::{Cpu, Isa};

/// The weights of one direction of a GRU layer, packed for an instruction set.
#[derive(Clone, Debug)]
pub struct GruWeights {
    input: InputWeights,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// All three gates in one product; the recurrent bias of the candidate, padded.
    ResetAfter { recurrent: Panels, bias: Vec<f32> },
    /// The gates z and r first, then the candidate from r h.
    ResetBefore { gates: Panels, candidate: Panels },
}

/// One direction of a GRU layer.
pub type GruDirection<'a> = Direction<'a, GruWeights>;

/// A call of a GRU layer.
pub type GruCall<'a> = RecurrentCall<'a, GruWeights>;

impl GruWeights {
    /// Packs weights in Keras's layout, the gates in the order z r h: `kernel`
    /// `[input, 3 * units]`, `recurrent_kernel` `[units, 3 * units]`, and `bias` `[2, 3 * units]` (input
    /// row, recurrent row) if `reset_after`, else `[3 * units]`.
    ///
    /// # Panics
    /// If a slice does not have the length that the sizes say.
    pub fn pack(
        isa: Isa,
        (input, units): (usize, usize),
        reset_after: bool,
        kernel: &[f32],
        recurrent_kernel: &[f32],
        bias: Option<&[f32]>,
    ) -> GruWeights {
        let columns = 3 * units;
        assert_len("recurrent kernel", recurrent_kernel.len(), &[units, columns]);
        if !reset_after {
            let panel = recurrent::plain_units(isa, units);
            let input = InputWeights::pack(isa, (input, units, 3), panel, kernel, bias);
            let size = (units, input.padded);
            let gates = Panels::by_gate(isa, recurrent_kernel, 3, 0..2, size);
            let candidate = Panels::plain(isa, recurrent_kernel, columns, 2 * units, units);
            return GruWeights { input, form: Form::ResetBefore { gates, candidate } };
        }
        let padded = units.next_multiple_of(isa.lanes());
        let mut candidate_bias = vec![0.0; padded];
        let merged: Option<Vec<f32>> = bias.map(|bias| {
            assert_len("bias", bias.len(), &[2, columns]);
            let (of_input, of_state) = bias.split_at(columns);
            candidate_bias[..units].copy_from_slice(&of_state[2 * units..]);
            // The two biases of z and of r are only ever added up.
            let gate = |(index, &bias): (usize, &f32)| {
                if index < 2 * units { bias + of_state[index] } else { bias }
            };
            of_input.iter().enumerate().map(gate).collect()
        });
        let size = (input, units, 3);
        let input = InputWeights::pack(isa, size, isa.lanes(), kernel, merged.as_deref());
        let recurrent = Panels::by_gate(isa, recurrent_kernel, 3, 0..3, (units, padded));
        GruWeights { input, form: Form::ResetAfter { recurrent, bias: candidate_bias } }
    }

    /// How many values of workspace a call with these weights needs.
    pub fn workspace_len(&self, directions: usize, batch: usize, time: usize) -> usize {
        recurrent::workspace_len(self, directions, batch, time)
    }
}

/// Computes a whole GRU layer.
///
/// # Panics
/// If the weights were packed for another instruction set than `cpu` has, a direction has a cell
/// state, or a slice does not have the length that its shape says.
pub fn forward(cpu: Cpu<'_>, call: GruCall<'_>) {
    recurrent::forward(cpu, call);
}
