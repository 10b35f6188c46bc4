//! The plain recurrent layer, all steps and directions in one node.

use std::borrow::Cow;

use super::Activation;
use super::recurrent::{CellShape, CellSlots, Direction};
use crate::graph::{Cost, OpError, Operator, Slots, TensorType};

/// The plain (Elman) recurrent layer: `h' = a(x·W + h·R + b)` with the activation `a`.
///
/// Slots and outputs: see [`recurrent`](super::recurrent).
#[derive(Clone, Debug, PartialEq)]
pub struct SimpleRnn {
    /// The width of the state.
    pub units: usize,
    /// The directions.
    pub direction: Direction,
    /// The activation.
    pub activation: Activation,
    /// Whether a masked step's place in the sequence is zero instead of the output before it.
    pub zero_output_for_mask: bool,
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

impl Operator for SimpleRnn {
    fn name(&self) -> &'static str {
        "simple_rnn"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("units", self.units.to_string()),
            ("direction", self.direction.name().to_owned()),
            ("activation", self.activation.name().to_owned()),
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
