//! The plain recurrent layer, all steps and directions in one node.

use super::Activation;
use super::recurrent::{CellShape, CellSlots, Direction, recurrent_operator};

/// The plain (Elman) recurrent layer: `h' = a(x·W + h·R + b)` with the activation `a`.
///
/// Slots and outputs: see [`recurrent`](super::recurrent).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SimpleRnn {
    /// The width of the state.
    pub units: usize,
    /// The directions.
    pub direction: Direction,
    /// The activation.
    pub activation: Activation,
    /// Whether a masked step's place in the sequence is zero instead of the output before it.
    pub zero_output_for_mask: bool,
    /// The share of the input that training drops; 0 for none.
    pub dropout: f32,
    /// The share of the state that training drops before the recurrent product; 0 for none.
    pub recurrent_dropout: f32,
}

impl SimpleRnn {
    /// Where weights and states stand among the slots and outputs.
    pub const SLOTS: CellSlots = CellSlots { states: 1 };

    fn with_shape<T>(&self, run: impl FnOnce(CellShape<'_>) -> T) -> T {
        let bias = [self.units];
        run(CellShape {
            slots: Self::SLOTS,
            units: self.units,
            gates: 1,
            bias: &bias,
            direction: self.direction,
        })
    }
}

recurrent_operator!(SimpleRnn, "simple_rnn", |_layer| []);
