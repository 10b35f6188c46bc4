//! The long short-term memory layer, all steps and directions in one node.

use std::borrow::Cow;

use super::Activation;
use super::recurrent::{CellShape, CellSlots, Direction};
use crate::graph::{Cost, OpError, Operator, Slots, TensorType};

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
#[derive(Clone, Debug, PartialEq)]
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

impl Operator for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("units", self.units.to_string()),
            ("direction", self.direction.name().to_owned()),
            ("activation", self.activation.name().to_owned()),
            ("recurrent_activation", self.recurrent_activation.name().to_owned()),
            ("zero_output_for_mask", self.zero_output_for_mask.to_string()),
        ]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Self::SLOTS.name(index)
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        self.with_shape(|shape| shape.infer(inputs))
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        self.with_shape(|shape| shape.cost(inputs, outputs))
    }
}
