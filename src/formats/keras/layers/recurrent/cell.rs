//! In what the three recurrent layers differ.

use std::ops::Range;

use super::Recurrent;
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::formats::keras::layers::Call;
use crate::graph::ValueId;
use crate::ops::{Direction, Gru, Lstm, SimpleRnn};

/// What a step computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    SimpleRnn,
    Lstm { unit_forget_bias: bool },
    Gru { reset_after: bool },
}

impl Cell {
    /// The cell of a layer, by its class.
    pub fn parse(config: &LayerConfig, options: &Options<'_>) -> Result<Cell, FormatError> {
        Ok(match config.class_name.as_str() {
            "SimpleRNN" => Cell::SimpleRnn,
            "LSTM" => Cell::Lstm { unit_forget_bias: options.bool_or("unit_forget_bias", true)? },
            "GRU" => Cell::Gru { reset_after: options.bool_or("reset_after", true)? },
            _ => return Err(config.unknown()),
        })
    }

    /// The name that Keras gives the cell.
    pub fn name(self) -> &'static str {
        match self {
            Cell::SimpleRnn => "simple_rnn_cell",
            Cell::Lstm { .. } => "lstm_cell",
            Cell::Gru { .. } => "gru_cell",
        }
    }

    /// Columns of the kernels for each unit.
    pub fn gates(self) -> usize {
        match self {
            Cell::SimpleRnn => 1,
            Cell::Lstm { .. } => 4,
            Cell::Gru { .. } => 3,
        }
    }

    /// The names of the states.
    pub fn states(self) -> &'static [&'static str] {
        match self {
            Cell::Lstm { .. } => &["state_h", "state_c"],
            _ => &["state"],
        }
    }

    /// The shape of the bias.
    pub fn bias_shape(self, units: usize) -> Vec<usize> {
        match self {
            Cell::Gru { reset_after: true } => vec![2, 3 * units],
            _ => vec![self.gates() * units],
        }
    }

    /// The elements of the bias that start as 1: those of LSTM's forget gate.
    pub fn ones(self, units: usize) -> Range<usize> {
        match self {
            Cell::Lstm { unit_forget_bias: true } => units..2 * units,
            _ => 0..0,
        }
    }

    /// Adds the operator of a layer with this cell.
    pub fn add(
        self,
        call: &mut Call<'_>,
        layer: &Recurrent,
        direction: Direction,
        slots: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>, FormatError> {
        let Recurrent { units, activation, recurrent_activation, zero_output_for_mask, .. } =
            *layer;
        match self {
            Cell::SimpleRnn => call
                .add_node(SimpleRnn { units, direction, activation, zero_output_for_mask }, slots),
            Cell::Lstm { .. } => {
                let lstm = Lstm {
                    units,
                    direction,
                    activation,
                    recurrent_activation,
                    zero_output_for_mask,
                };
                call.add_node(lstm, slots)
            }
            Cell::Gru { reset_after } => {
                let gru = Gru {
                    units,
                    direction,
                    activation,
                    recurrent_activation,
                    reset_after,
                    zero_output_for_mask,
                };
                call.add_node(gru, slots)
            }
        }
    }

    /// Whether two cells compute the same from the same weights.
    pub fn alike(self, other: Cell) -> bool {
        match (self, other) {
            (Cell::Lstm { .. }, Cell::Lstm { .. }) => true,
            (a, b) => a == b,
        }
    }
}
