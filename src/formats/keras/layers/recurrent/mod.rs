//! What the recurrent layers share: their options, variables and the operators that they become.

mod bidirectional;
mod cell;
mod stack;

use serde_json::Value;

pub(super) use bidirectional::parse as parse_bidirectional;
use cell::Cell;

use super::{Arg, Call, KERAS2, KerasLayer, LoweredTensor, VariableSpec, regularizer};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Dim, Regularizer, TensorType, ValueId};
use crate::ops::{Binary, BinaryKind, Direction, Reshape, Reverse};

/// A recurrent layer: `SimpleRNN`, `LSTM` or `GRU`, or an `RNN` with one cell or several.
///
/// A stack of cells becomes one operator for each cell. That is the same as a stack that is walked
/// step by step, since no cell takes anything from a later step: a masked step carries the states
/// of all cells, and what it hands from cell to cell is never used.
#[derive(Clone, Debug)]
pub(super) struct Recurrent {
    name: String,
    /// The lowest first.
    cells: Vec<Cell>,
    return_sequences: bool,
    return_state: bool,
    go_backwards: bool,
    stateful: bool,
    zero_output_for_mask: bool,
    unroll: bool,
    /// What training adds to the loss for its outputs, where it stands within another layer.
    activity: Option<Regularizer>,
    /// Why training cannot do that.
    untrainable: Option<String>,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    Ok(Box::new(Recurrent::parse(config)?))
}

impl Recurrent {
    fn parse(config: &LayerConfig) -> Result<Recurrent, FormatError> {
        let options = config.options();
        let cells = match Cell::of_layer(config, &options)? {
            Some(cell) => vec![cell],
            None if config.class_name == "RNN" => stack::cells(&options)?,
            None => return Err(config.unknown()),
        };
        let option = "activity_regularizer";
        let activity = regularizer(option, config.raw_options().get(option));
        let layer = Recurrent {
            name: config.name.clone(),
            cells,
            return_sequences: options.bool_or("return_sequences", false)?,
            return_state: options.bool_or("return_state", false)?,
            go_backwards: options.bool_or("go_backwards", false)?,
            stateful: options.bool_or("stateful", false)?,
            zero_output_for_mask: options.bool_or("zero_output_for_mask", false)?,
            unroll: options.bool_or("unroll", false)?,
            untrainable: activity.as_ref().err().cloned(),
            activity: activity.unwrap_or_default(),
        };
        options.only("time_major", &Value::Bool(false), "give [batch, time, features]")?;
        options.ignore(&["use_cudnn"]);
        options.finish()?;
        Ok(layer)
    }

    /// Whether it drops inputs or states in training.
    fn drops(&self) -> bool {
        self.cells.iter().any(Cell::drops)
    }

    /// How many of its variables are in the file.
    fn parameters(&self) -> usize {
        self.cells.iter().map(Cell::parameters).sum()
    }

    /// How many states its cells have.
    fn state_count(&self) -> usize {
        self.cells.iter().map(|cell| cell.states().len()).sum()
    }

    /// How many variables it has, its states included.
    fn variable_count(&self) -> usize {
        self.parameters() + if self.stateful { self.state_count() } else { 0 }
    }

    /// The variables for an input `[batch, time, features]`: those of each cell, then the states.
    fn specs(
        &self,
        call: &Call<'_>,
        input: Option<&TensorType>,
    ) -> Result<Vec<VariableSpec>, FormatError> {
        let Some([batch, _, features]) = input.map(|ty| &ty.dims[..]) else {
            return Err(call.refuse("its input is not [batch, time, features]"));
        };
        let mut features = features
            .known()
            .ok_or_else(|| call.refuse("the number of features of its input is not known"))?;
        let mut specs = Vec::new();
        for cell in &self.cells {
            specs.extend(cell.specs(features));
            features = cell.units;
        }
        if self.stateful {
            let batch = batch.known().ok_or_else(|| {
                call.refuse("it is stateful, which needs an input with a fixed batch size")
            })?;
            for cell in &self.cells {
                specs.extend(cell.states().iter().map(|state| {
                    let spec = VariableSpec::state(state, [batch, cell.units]);
                    if self.cells.len() > 1 { spec.below("states", &cell.name) } else { spec }
                }));
            }
        }
        Ok(specs)
    }

    /// The states that a call begins with, those of each cell in turn; without any, zeros.
    fn first_states(
        &self,
        call: &mut Call<'_>,
        base: usize,
        initial: Option<Vec<ValueId>>,
    ) -> Result<Vec<Option<ValueId>>, FormatError> {
        let count = self.state_count();
        match initial {
            Some(given) if given.len() == count => Ok(given.into_iter().map(Some).collect()),
            Some(given) => {
                let problem = format!("{} initial states, it has {count}", given.len());
                Err(call.refuse(problem))
            }
            None if self.stateful => (0..count)
                .map(|state| call.variable(base + self.parameters() + state).map(Some))
                .collect(),
            None => Ok(vec![None; count]),
        }
    }

    /// Keeps the final states for the next run.
    fn keep(
        &self,
        call: &mut Call<'_>,
        base: usize,
        states: &[ValueId],
    ) -> Result<(), FormatError> {
        if self.stateful {
            for (index, state) in states.iter().enumerate() {
                call.update(base + self.parameters() + index, *state)?;
            }
        }
        Ok(())
    }

    /// Whether Keras zeroes masked steps at the wrong places: unrolled and backward, it lays the
    /// mask as it stands over outputs in the order in which they were walked
    /// (`keras.src.backend.tensorflow.rnn.rnn`).
    fn misplaces_zeros(&self, steps: Steps) -> bool {
        self.unroll
            && self.go_backwards
            && self.return_sequences
            && self.zero_output_for_mask
            && steps.mask.is_some()
    }

    /// Walks one direction, where `base` is the first of its variables: the output as Keras gives
    /// it, and the final states.
    fn walk(
        &self,
        call: &mut Call<'_>,
        steps: Steps,
        base: usize,
        initial: Option<Vec<ValueId>>,
    ) -> Result<(ValueId, Vec<ValueId>), FormatError> {
        let backward = self.go_backwards;
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        let misplaced = self.misplaces_zeros(steps);
        let first = self.first_states(call, base, initial)?;
        let (mut sequence, mut last) = (steps.x, steps.x);
        let (mut states, mut variable) = (Vec::with_capacity(first.len()), base);
        for (index, cell) in self.cells.iter().enumerate() {
            let top = index + 1 == self.cells.len();
            let mut slots = vec![Some(sequence), steps.mask];
            slots.extend(cell.weights(call, variable)?);
            slots.extend(first.iter().skip(states.len()).take(cell.states().len()));
            let zeros = top && self.zero_output_for_mask && !misplaced;
            let outputs = cell.add(call, direction, zeros, slots)?;
            let [all, final_output, new_states @ ..] = &outputs[..] else {
                return Err(call.refuse("its operator has no outputs"));
            };
            (sequence, last) = (*all, *final_output);
            states.extend(new_states);
            variable += cell.parameters();
        }
        self.keep(call, base, &states)?;
        let output = match (self.return_sequences, backward) {
            (false, _) => last,
            (true, false) => sequence,
            // Keras leaves the steps in the order in which they were walked.
            (true, true) => call.add(Reverse { axis: 1 }, &[sequence])?,
        };
        let output = match steps.mask.filter(|_| misplaced) {
            Some(mask) => zeroed(call, output, mask)?,
            None => output,
        };
        Ok((output, states))
    }
}

/// `x` `[batch, time, units]` with zeros where `mask` `[batch, time]` is false.
fn zeroed(call: &mut Call<'_>, x: ValueId, mask: ValueId) -> Result<ValueId, FormatError> {
    let mut dims = call.ty(mask).dims.clone();
    dims.push(Dim::Known(1));
    let mask = call.add(Reshape::to(dims), &[mask])?;
    let mask = call.float(mask)?;
    call.add(Binary { kind: BinaryKind::Multiply }, &[x, mask])
}

/// What the layers walk over.
#[derive(Clone, Copy, Debug)]
struct Steps {
    x: ValueId,
    mask: Option<ValueId>,
    /// The mask that leaves a sequence.
    passed: Option<ValueId>,
}

/// Takes the arguments `sequences`, `initial_state` and `mask`. The states are as the call gives
/// them, a stack's nested by cell.
fn arguments(call: &mut Call<'_>) -> Result<(Steps, Option<Vec<Arg>>), FormatError> {
    let input = call.tensor(0, "sequences")?;
    let initial = call.take(1, "initial_state").map(|given| match given {
        Arg::List(items) => items,
        one => vec![one],
    });
    let given = call.optional_tensor(2, "mask")?.map(|mask| mask.value);
    let x = call.float(input.value)?;
    // Keras fills a mask in only where a call has one tensor alone, so not beside initial states;
    // Keras 2 does.
    let alone = initial.is_none() || call.flag(usize::MAX, KERAS2)? == Some(true);
    let mask = given.or(input.mask.filter(|_| alone));
    let mask = mask.map(|mask| call.cast(mask, DType::Bool)).transpose()?;
    Ok((Steps { x, mask, passed: given.or(input.mask) }, initial))
}

/// Initial states one after another, as floats.
fn states(call: &mut Call<'_>, given: Vec<Arg>) -> Result<Vec<ValueId>, FormatError> {
    let mut found = Vec::new();
    for state in given {
        match state {
            Arg::Tensor(tensor) => found.push(call.float(tensor.value)?),
            Arg::Array(array) => {
                let value = call.constant(array);
                found.push(call.float(value)?);
            }
            Arg::List(items) => found.extend(states(call, items)?),
            _ => return Err(call.refuse("argument 'initial_state' is no list of tensors")),
        }
    }
    Ok(found)
}

impl KerasLayer for Recurrent {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        self.specs(call, call.peek(0, "sequences"))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let (steps, initial) = arguments(call)?;
        let initial = initial.map(|given| states(call, given)).transpose()?;
        let (value, states) = self.walk(call, steps, 0, initial)?;
        let mask = if self.return_sequences { steps.passed } else { None };
        let mut outputs = vec![LoweredTensor { value, mask }];
        if self.return_state {
            outputs.extend(states.into_iter().map(LoweredTensor::plain));
        }
        Ok(outputs)
    }

    fn acts_in_training(&self) -> bool {
        self.drops()
    }
}
