//! What the recurrent layers share: their options, variables and the operators that they become.

mod bidirectional;
mod cell;

use serde_json::Value;

pub(super) use bidirectional::parse as parse_bidirectional;
use cell::Cell;

use super::{Arg, Call, KerasLayer, LoweredTensor, VariableSpec, activation_of, initial, width};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::graph::{DType, TensorType, ValueId};
use crate::ops::{Activation, Direction, Reverse};

/// A recurrent layer: `SimpleRNN`, `LSTM` or `GRU`.
#[derive(Clone, Debug)]
pub(super) struct Recurrent {
    name: String,
    cell: Cell,
    units: usize,
    activation: Activation,
    recurrent_activation: Activation,
    use_bias: bool,
    initial: [Value; 3],
    return_sequences: bool,
    return_state: bool,
    go_backwards: bool,
    stateful: bool,
    zero_output_for_mask: bool,
    drops: bool,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    Ok(Box::new(Recurrent::parse(config)?))
}

impl Recurrent {
    fn parse(config: &LayerConfig) -> Result<Recurrent, FormatError> {
        let options = config.options();
        let cell = Cell::parse(config, &options)?;
        let recurrent_activation = match cell {
            Cell::SimpleRnn => Activation::Linear,
            _ => elementwise(&options, "recurrent_activation", "sigmoid")?,
        };
        let drops = options.rate_or("dropout", 0.0)? > 0.0;
        let drops = options.rate_or("recurrent_dropout", 0.0)? > 0.0 || drops;
        let layer = Recurrent {
            name: config.name.clone(),
            cell,
            units: width(&options, "units")?,
            activation: elementwise(&options, "activation", "tanh")?,
            recurrent_activation,
            use_bias: options.bool_or("use_bias", true)?,
            initial: [
                initial(&options, "kernel_initializer", "glorot_uniform")?,
                initial(&options, "recurrent_initializer", "orthogonal")?,
                initial(&options, "bias_initializer", "zeros")?,
            ],
            return_sequences: options.bool_or("return_sequences", false)?,
            return_state: options.bool_or("return_state", false)?,
            go_backwards: options.bool_or("go_backwards", false)?,
            stateful: options.bool_or("stateful", false)?,
            zero_output_for_mask: options.bool_or("zero_output_for_mask", false)?,
            drops,
        };
        options.only("time_major", &Value::Bool(false), "give [batch, time, features]")?;
        options.ignore(&[
            "unroll",
            "implementation",
            "use_cudnn",
            "seed",
            "kernel_regularizer",
            "recurrent_regularizer",
            "bias_regularizer",
            "activity_regularizer",
            "kernel_constraint",
            "recurrent_constraint",
            "bias_constraint",
        ]);
        options.finish()?;
        Ok(layer)
    }

    /// How many of its variables are in the file.
    fn parameters(&self) -> usize {
        if self.use_bias { 3 } else { 2 }
    }

    /// How many variables it has, its states included.
    fn variable_count(&self) -> usize {
        self.parameters() + if self.stateful { self.cell.states().len() } else { 0 }
    }

    /// The variables for an input `[batch, time, features]`.
    fn specs(
        &self,
        call: &Call<'_>,
        input: Option<&TensorType>,
    ) -> Result<Vec<VariableSpec>, FormatError> {
        let Some([batch, _, features]) = input.map(|ty| &ty.dims[..]) else {
            return Err(call.refuse("its input is not [batch, time, features]"));
        };
        let features = features
            .known()
            .ok_or_else(|| call.refuse("the number of features of its input is not known"))?;
        let columns = self.cell.gates() * self.units;
        let [kernel, recurrent, bias] = &self.initial;
        let cell = self.cell.name();
        let below = |spec: VariableSpec| spec.below("cell", cell);
        let mut specs = vec![
            below(VariableSpec::new(0, "kernel", [features, columns], kernel)),
            below(VariableSpec::new(1, "recurrent_kernel", [self.units, columns], recurrent)),
        ];
        if self.use_bias {
            let shape = self.cell.bias_shape(self.units);
            let mut spec = below(VariableSpec::new(2, "bias", shape, bias));
            spec.ones = self.cell.ones(self.units);
            specs.push(spec);
        }
        if self.stateful {
            let batch = batch.known().ok_or_else(|| {
                call.refuse("it is stateful, which needs an input with a fixed batch size")
            })?;
            let state = |name: &&str| VariableSpec::state(name, [batch, self.units]);
            specs.extend(self.cell.states().iter().map(state));
        }
        Ok(specs)
    }

    /// The slots of weights and states, where `base` is the first of its variables.
    fn slots(
        &self,
        call: &mut Call<'_>,
        base: usize,
        initial: Option<&[ValueId]>,
    ) -> Result<Vec<Option<ValueId>>, FormatError> {
        let states = self.cell.states().len();
        let mut slots = vec![Some(call.variable(base)?), Some(call.variable(base + 1)?)];
        slots.push(if self.use_bias { Some(call.variable(base + 2)?) } else { None });
        match initial {
            Some(given) if given.len() == states => slots.extend(given.iter().copied().map(Some)),
            Some(given) => {
                let problem = format!("{} initial states, it has {states}", given.len());
                return Err(call.refuse(problem));
            }
            None if self.stateful => {
                for state in 0..states {
                    slots.push(Some(call.variable(base + self.parameters() + state)?));
                }
            }
            None => slots.extend(vec![None; states]),
        }
        Ok(slots)
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

    /// Walks one direction: the output as Keras gives it, and the final states.
    fn walk(
        &self,
        call: &mut Call<'_>,
        steps: Steps,
        base: usize,
        initial: Option<&[ValueId]>,
    ) -> Result<(ValueId, Vec<ValueId>), FormatError> {
        let mut slots = vec![Some(steps.x), steps.mask];
        slots.extend(self.slots(call, base, initial)?);
        let backward = self.go_backwards;
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        let outputs = self.cell.add(call, self, direction, slots)?;
        let [sequence, last, states @ ..] = &outputs[..] else {
            return Err(call.refuse("its operator has no outputs"));
        };
        self.keep(call, base, states)?;
        let output = match (self.return_sequences, backward) {
            (false, _) => *last,
            (true, false) => *sequence,
            // Keras leaves the steps in the order in which they were walked.
            (true, true) => call.add(Reverse { axis: 1 }, &[*sequence])?,
        };
        Ok((output, states.to_vec()))
    }
}

/// What the layers walk over.
#[derive(Clone, Copy, Debug)]
struct Steps {
    x: ValueId,
    mask: Option<ValueId>,
    /// The mask that leaves a sequence.
    passed: Option<ValueId>,
}

/// Takes the arguments `sequences`, `initial_state` and `mask`.
fn arguments(call: &mut Call<'_>) -> Result<(Steps, Option<Vec<ValueId>>), FormatError> {
    let input = call.tensor(0, "sequences")?;
    let initial = call.take(1, "initial_state").map(|given| states(call, given)).transpose()?;
    let given = call.optional_tensor(2, "mask")?.map(|mask| mask.value);
    let x = call.float(input.value)?;
    // Keras fills a mask in only where a call has one tensor alone, so not beside initial states.
    let mask = given.or(if initial.is_some() { None } else { input.mask });
    let mask = mask.map(|mask| call.cast(mask, DType::Bool)).transpose()?;
    Ok((Steps { x, mask, passed: given.or(input.mask) }, initial))
}

fn states(call: &mut Call<'_>, given: Arg) -> Result<Vec<ValueId>, FormatError> {
    match given {
        Arg::Tensor(tensor) => Ok(vec![call.float(tensor.value)?]),
        Arg::Array(array) => {
            let value = call.constant(array);
            Ok(vec![call.float(value)?])
        }
        Arg::List(items) => {
            let mut found = Vec::new();
            for item in items {
                found.extend(states(call, item)?);
            }
            Ok(found)
        }
        _ => Err(call.refuse("argument 'initial_state' is no list of tensors")),
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

impl KerasLayer for Recurrent {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        self.specs(call, call.peek(0, "sequences"))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let (steps, initial) = arguments(call)?;
        let (value, states) = self.walk(call, steps, 0, initial.as_deref())?;
        let mask = if self.return_sequences { steps.passed } else { None };
        let mut outputs = vec![LoweredTensor { value, mask }];
        if self.return_state {
            outputs.extend(states.into_iter().map(LoweredTensor::plain));
        }
        Ok(outputs)
    }

    fn acts_in_training(&self) -> bool {
        self.drops
    }
}
