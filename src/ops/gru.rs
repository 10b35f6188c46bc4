//! The gated recurrent unit layer, all steps and directions in one node.

use super::Activation;
use super::recurrent::{CellShape, CellSlots, Direction, recurrent_operator};

/// The GRU layer. Gates stand in the order update, reset, candidate (`z r h`); `s` is the recurrent
/// activation, `a` the activation, `*` elementwise (Cho et al. 2014):
///
/// ```text
/// z, r = s(x·W + h·R + b)
/// g = a(x·W + b + r * (h·R + b'))     with reset_after
/// g = a(x·W + b + (r * h)·R)          without
/// h' = z * h + (1 - z) * g
/// ```
///
/// The bias is `[2, 3*units]` with `reset_after` (input's, then recurrent one), else `[3*units]`.
/// Slots and outputs: see [`recurrent`](super::recurrent).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Gru {
    /// The width of the state.
    pub units: usize,
    /// The directions.
    pub direction: Direction,
    /// The activation of the candidate.
    pub activation: Activation,
    /// The activation of the gates.
    pub recurrent_activation: Activation,
    /// Whether the reset gate acts after the recurrent product.
    pub reset_after: bool,
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

impl Gru {
    /// Where weights and states stand among the slots and outputs.
    pub const SLOTS: CellSlots = CellSlots { states: 1 };

    fn with_shape<T>(&self, run: impl FnOnce(CellShape<'_>) -> T) -> T {
        let (after, before) = ([2, 3 * self.units], [3 * self.units]);
        let bias = if self.reset_after { &after[..] } else { &before[..] };
        run(CellShape {
            slots: Self::SLOTS,
            units: self.units,
            gates: 3,
            bias,
            direction: self.direction,
        })
    }
}

recurrent_operator!(Gru, "gru", |layer| [
    ("recurrent_activation", layer.recurrent_activation.name().to_owned()),
    ("reset_after", layer.reset_after.to_string()),
]);
