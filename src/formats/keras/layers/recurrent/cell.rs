//! The cells of the recurrent layers: their options, variables and operators.

use std::ops::Range;

use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::formats::keras::layers::{Call, VariableSpec, Weight, activation_of, weight, width};
use crate::graph::ValueId;
use crate::ops::{Activation, Direction, Gru, Lstm, SimpleRnn};

/// What a step computes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    SimpleRnn,
    Lstm { unit_forget_bias: bool },
    Gru { reset_after: bool },
}

impl Kind {
    /// Columns of the kernels for each unit.
    fn gates(self) -> usize {
        match self {
            Kind::SimpleRnn => 1,
            Kind::Lstm { .. } => 4,
            Kind::Gru { .. } => 3,
        }
    }
}

/// What a cell does in training alone.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Training {
    /// The share of the input that is dropped.
    dropout: f32,
    /// The share of the state that is dropped before the recurrent product.
    recurrent_dropout: f32,
    /// 1 where each gate has factors of its own.
    implementation: u8,
}

impl Training {
    fn read(options: &Options<'_>) -> Result<Training, FormatError> {
        let training = Training {
            dropout: options.rate_or("dropout", 0.0)? as f32,
            recurrent_dropout: options.rate_or("recurrent_dropout", 0.0)? as f32,
            implementation: match options.usize_or("implementation", 2)? {
                1 => 1,
                _ => 2,
            },
        };
        options.trains(&["dropout", "recurrent_dropout", "implementation"]);
        options.ignore(&["seed"]);
        Ok(training)
    }
}

/// A cell: that of a layer of its own, such as `LSTM`, or one that `RNN` is given.
#[derive(Clone, Debug)]
pub struct Cell {
    kind: Kind,
    /// The width of its state.
    pub units: usize,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    weights: [Weight; 3],
    training: Training,
    /// Whether its weights are trained.
    trainable: bool,
    /// Where the file holds it, below the layer's folder.
    pub folder: String,
    /// Its name below the layer's.
    pub name: String,
}

impl Cell {
    /// The cell of a layer of its own, whose options stand among the layer's, or none where the
    /// class is no such layer.
    ///
    /// # Errors
    /// If an option of the cell is not honoured.
    pub fn of_layer(
        config: &LayerConfig,
        options: &Options<'_>,
    ) -> Result<Option<Cell>, FormatError> {
        let name = match config.class_name.as_str() {
            "SimpleRNN" => "simple_rnn_cell",
            "LSTM" => "lstm_cell",
            "GRU" => "gru_cell",
            _ => return Ok(None),
        };
        let folder = "cell".to_owned();
        let cell = Cell::read(&config.class_name, options, folder, name.to_owned())?;
        Ok(Some(Cell { trainable: config.trainable, ..cell }))
    }

    /// A cell that stands for itself, `LSTMCell` and the like.
    ///
    /// # Errors
    /// If it is of another class, or an option is not honoured.
    pub fn parse(config: &LayerConfig, folder: String, name: String) -> Result<Cell, FormatError> {
        let class = match config.class_name.as_str() {
            "SimpleRNNCell" | "LSTMCell" | "GRUCell" => config.class_name.trim_end_matches("Cell"),
            _ => return Err(config.unknown()),
        };
        let options = config.options();
        let cell = Cell::read(class, &options, folder, name)?;
        options.finish()?;
        Ok(Cell { trainable: config.trainable, ..cell })
    }

    /// Reads the options that a layer has in common with its cell.
    fn read(
        class: &str,
        options: &Options<'_>,
        folder: String,
        name: String,
    ) -> Result<Cell, FormatError> {
        let kind = match class {
            "LSTM" => Kind::Lstm { unit_forget_bias: options.bool_or("unit_forget_bias", true)? },
            "GRU" => Kind::Gru { reset_after: options.bool_or("reset_after", true)? },
            _ => Kind::SimpleRnn,
        };
        let recurrent_activation = match kind {
            Kind::SimpleRnn => Activation::Linear,
            _ => elementwise(options, "recurrent_activation", "sigmoid")?,
        };
        Ok(Cell {
            kind,
            units: width(options, "units")?,
            activation: elementwise(options, "activation", "tanh")?,
            recurrent_activation,
            use_bias: options.bool_or("use_bias", true)?,
            weights: [
                weight(options, "kernel", "glorot_uniform")?,
                weight(options, "recurrent", "orthogonal")?,
                weight(options, "bias", "zeros")?,
            ],
            training: Training::read(options)?,
            trainable: true,
            folder,
            name,
        })
    }

    /// Whether it drops inputs or states in training.
    pub fn drops(&self) -> bool {
        self.training.dropout > 0.0 || self.training.recurrent_dropout > 0.0
    }

    /// The names of the states.
    pub fn states(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Lstm { .. } => &["state_h", "state_c"],
            _ => &["state"],
        }
    }

    /// How many of its variables are in the file.
    pub fn parameters(&self) -> usize {
        if self.use_bias { 3 } else { 2 }
    }

    /// The variables in the file, for steps `[batch, features]`.
    pub fn specs(&self, features: usize) -> Vec<VariableSpec> {
        let columns = self.kind.gates() * self.units;
        let [kernel, recurrent, bias] = &self.weights;
        let mut specs = vec![
            VariableSpec::new(0, "kernel", [features, columns], kernel),
            VariableSpec::new(1, "recurrent_kernel", [self.units, columns], recurrent),
        ];
        if self.use_bias {
            let shape = match self.kind {
                Kind::Gru { reset_after: true } => vec![2, columns],
                _ => vec![columns],
            };
            let mut spec = VariableSpec::new(2, "bias", shape, bias);
            spec.ones = self.forget_bias();
            specs.push(spec);
        }
        let own = |spec: VariableSpec| spec.trained(self.trainable).below(&self.folder, &self.name);
        specs.into_iter().map(own).collect()
    }

    /// The elements of the bias that start as 1: those of LSTM's forget gate.
    fn forget_bias(&self) -> Range<usize> {
        match self.kind {
            Kind::Lstm { unit_forget_bias: true } => self.units..2 * self.units,
            _ => 0..0,
        }
    }

    /// The slots of its weights, where `base` is the first of its variables.
    ///
    /// # Errors
    /// If the layer has no such variables.
    pub fn weights(
        &self,
        call: &mut Call<'_>,
        base: usize,
    ) -> Result<[Option<ValueId>; 3], FormatError> {
        let bias = if self.use_bias { Some(call.variable(base + 2)?) } else { None };
        Ok([Some(call.variable(base)?), Some(call.variable(base + 1)?), bias])
    }

    /// Adds the operator that walks all steps with this cell.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add(
        &self,
        call: &mut Call<'_>,
        direction: Direction,
        zero_output_for_mask: bool,
        slots: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>, FormatError> {
        let Cell { units, activation, recurrent_activation, .. } = *self;
        let Training { dropout, recurrent_dropout, implementation } = self.training;
        match self.kind {
            Kind::SimpleRnn => {
                let rnn = SimpleRnn {
                    units,
                    direction,
                    activation,
                    zero_output_for_mask,
                    dropout,
                    recurrent_dropout,
                };
                call.add_node(rnn, slots)
            }
            Kind::Lstm { .. } => {
                let lstm = Lstm {
                    units,
                    direction,
                    activation,
                    recurrent_activation,
                    zero_output_for_mask,
                    dropout,
                    recurrent_dropout,
                    implementation,
                };
                call.add_node(lstm, slots)
            }
            Kind::Gru { reset_after } => {
                let gru = Gru {
                    units,
                    direction,
                    activation,
                    recurrent_activation,
                    reset_after,
                    zero_output_for_mask,
                    dropout,
                    recurrent_dropout,
                    implementation,
                };
                call.add_node(gru, slots)
            }
        }
    }

    /// Whether two cells compute the same from the same weights, in training too.
    pub fn alike(&self, other: &Cell) -> bool {
        let kinds = match (self.kind, other.kind) {
            (Kind::Lstm { .. }, Kind::Lstm { .. }) => true,
            (a, b) => a == b,
        };
        kinds
            && self.units == other.units
            && self.activation == other.activation
            && self.recurrent_activation == other.recurrent_activation
            && self.use_bias == other.use_bias
            && self.training == other.training
    }
}

/// An activation of a cell.
fn elementwise(
    options: &Options<'_>,
    option: &str,
    default: &str,
) -> Result<Activation, FormatError> {
    let activation = activation_of(options, option, default)?;
    // It would halve the state, which no recurrent product then fits.
    match activation {
        Activation::Glu => Err(options.bad(option, "an activation that keeps the width")),
        _ => Ok(activation),
    }
}
