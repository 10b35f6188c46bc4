//! The long short-term memory layer, all steps and directions in one node.

use super::Activation;
use super::recurrent::{CellShape, CellSlots, Direction, recurrent_operator};

/// The LSTM layer. Gates stand in the order input, forget, cell, output (`i f c o`); `s` is the
/// recurrent activation, `a` the activation, `*` elementwise (Hochreiter and Schmidhuber 1997, with
/// the forget gate of Gers et al. 2000):
///
/// ```text
/// i, f, o = s(x·W + h·R + b)      g = a(x·W + h·R + b)
/// c' = f * c + i * g              h' = o * a(c')
/// ```
///
/// Slots and outputs: see [`recurrent`](super::recurrent); the states are `h` and `c`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Lstm {
    /// The width of the state.
    pub units: usize,
    /// The directions.
    pub direction: Direction,
    /// The activation of the candidate and of the cell's output.
    pub activation: Activation,
    /// The activation of the gates.
    pub recurrent_activation: Activation,
    /// Whether a masked step's place in the sequence is zero instead of the output before it.
    pub zero_output_for_mask: bool,
    /// The share of the input that training drops; 0 for none.
    pub dropout: f32,
    /// The share of the state that training drops before the recurrent product; 0 for none.
    pub recurrent_dropout: f32,
    /// How training drops the input: 2 as it is, once for all gates; 1 with factors of their own for
    /// each gate, as is done wherever the state is dropped too. Other numbers count as 2.
    pub implementation: u8,
}

impl Lstm {
    /// Where weights and states stand among the slots and outputs.
    pub const SLOTS: CellSlots = CellSlots { states: 2 };

    fn with_shape<T>(&self, run: impl FnOnce(CellShape<'_>) -> T) -> T {
        let bias = [4 * self.units];
        run(CellShape {
            slots: Self::SLOTS,
            units: self.units,
            gates: 4,
            bias: &bias,
            direction: self.direction,
        })
    }
}

recurrent_operator!(Lstm, "lstm", |layer| [(
    "recurrent_activation",
    layer.recurrent_activation.name().to_owned()
)]);
