//! `Bidirectional`: two recurrent layers, one of which walks backward.

use serde_json::Value;

use super::{Cell, Recurrent, Steps, arguments, states};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::{Call, KerasLayer, LoweredTensor, VariableSpec};
use crate::graph::{Tensor, ValueId};
use crate::ops::{AxisSlice, Binary, BinaryKind, Concat, Direction, Reverse, Slice};

/// What becomes of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Merge {
    Concat,
    Sum,
    Average,
    Multiply,
    None,
}

#[derive(Debug)]
struct Bidirectional {
    forward: Recurrent,
    backward: Recurrent,
    merge: Merge,
}

/// Reads the layer and both of its layers.
pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    // Null means "give both", an absent mode the default.
    let merge = match config.raw_options().get("merge_mode") {
        Some(Value::Null) => Merge::None,
        _ => match options.choice("merge_mode", "concat", &["concat", "sum", "ave", "mul"])? {
            "sum" => Merge::Sum,
            "ave" => Merge::Average,
            "mul" => Merge::Multiply,
            _ => Merge::Concat,
        },
    };
    options.ignore(&["merge_mode"]);
    options.only("weights", &Value::Null, "set the weights in Python and save the model")?;
    let mut forward = Recurrent::parse(&options.layer("layer")?)?;
    let mut backward = match options.optional_layer("backward_layer")? {
        Some(layer) => Recurrent::parse(&layer)?,
        None => {
            let name = forward.name.strip_prefix("backward_").unwrap_or(&forward.name);
            let name = format!("backward_{name}");
            Recurrent { name, go_backwards: true, ..forward.clone() }
        }
    };
    let name = forward.name.strip_prefix("forward_").unwrap_or(&forward.name);
    forward.name = format!("forward_{name}");
    let expected = |what: &str| options.bad("layer", format!("layers that {what}"));
    if forward.go_backwards == backward.go_backwards {
        return Err(expected("differ in go_backwards"));
    }
    let common = |layer: &Recurrent| (layer.stateful, layer.return_sequences, layer.return_state);
    if common(&forward) != common(&backward) {
        return Err(expected("agree in stateful, return_sequences and return_state"));
    }
    forward.zero_output_for_mask = forward.return_sequences;
    backward.zero_output_for_mask = backward.return_sequences;
    options.finish()?;
    Ok(Box::new(Bidirectional { forward, backward, merge }))
}

/// Both outputs, apart, and all final states.
struct Both {
    forward: ValueId,
    backward: ValueId,
    /// The two one after another, where one node gives them so.
    joined: Option<ValueId>,
    states: Vec<ValueId>,
}

impl Bidirectional {
    /// The cell with which one node can walk both directions.
    fn shared_cell(&self) -> Option<&Cell> {
        match (&self.forward.cells[..], &self.backward.cells[..]) {
            ([a], [b]) if a.alike(b) && !self.forward.go_backwards => Some(a),
            _ => None,
        }
    }

    /// One node for both directions.
    fn together(
        &self,
        call: &mut Call<'_>,
        steps: Steps,
        cell: &Cell,
        initial: [Option<Vec<ValueId>>; 2],
    ) -> Result<Both, FormatError> {
        let base = self.forward.variable_count();
        let sides = [(&self.forward, 0), (&self.backward, base)];
        let mut slots = vec![Some(steps.x), steps.mask];
        for ((layer, base), initial) in sides.into_iter().zip(initial) {
            slots.extend(cell.weights(call, base)?);
            slots.extend(layer.first_states(call, base, initial)?);
        }
        let zeros = self.forward.zero_output_for_mask;
        let outputs = cell.add(call, Direction::Bidirectional, zeros, slots)?;
        let [sequence, last, states @ ..] = &outputs[..] else {
            return Err(call.refuse("its operator has no outputs"));
        };
        let (ahead, back) = states.split_at(states.len() / 2);
        self.forward.keep(call, 0, ahead)?;
        self.backward.keep(call, base, back)?;
        let joined = if self.forward.return_sequences { *sequence } else { *last };
        let (mut forward, mut backward) = (joined, joined);
        if self.merge != Merge::Concat || self.penalizes() {
            let axis = if self.forward.return_sequences { 2 } else { 1 };
            let units = i64::try_from(cell.units).unwrap_or(i64::MAX);
            let half = |start, stop| Slice { axes: vec![AxisSlice { axis, start, stop, step: 1 }] };
            forward = call.add(half(None, Some(units)), &[joined])?;
            backward = call.add(half(Some(units), None), &[joined])?;
        }
        Ok(Both { forward, backward, joined: Some(joined), states: states.to_vec() })
    }

    /// A node for each layer.
    fn apart(
        &self,
        call: &mut Call<'_>,
        steps: Steps,
        initial: [Option<Vec<ValueId>>; 2],
    ) -> Result<Both, FormatError> {
        let base = self.forward.variable_count();
        let [ahead, back] = initial;
        let (forward, mut states) = self.forward.walk(call, steps, 0, ahead)?;
        let (mut backward, back) = self.backward.walk(call, steps, base, back)?;
        states.extend(back);
        if self.forward.return_sequences {
            backward = call.add(Reverse { axis: 1 }, &[backward])?;
        }
        Ok(Both { forward, backward, joined: None, states })
    }

    /// Whether a layer within has a penalty on its outputs.
    fn penalizes(&self) -> bool {
        self.forward.activity.is_some() || self.backward.activity.is_some()
    }

    /// Notes what training adds to the loss for the outputs of the layers within.
    fn penalize(&self, call: &mut Call<'_>, both: &Both) -> Result<(), FormatError> {
        let states = if self.forward.return_state { &both.states[..] } else { &[] };
        let (ahead, back) = states.split_at(states.len() / 2);
        for (layer, output, states) in
            [(&self.forward, both.forward, ahead), (&self.backward, both.backward, back)]
        {
            if let Some(regularizer) = layer.activity {
                let name = format!("{}/{}", call.name(), layer.name);
                call.penalize(&name, regularizer, &[&[output], states].concat())?;
            }
        }
        Ok(())
    }

    fn merged(&self, call: &mut Call<'_>, both: &Both) -> Result<Vec<ValueId>, FormatError> {
        let pair = [both.forward, both.backward];
        let mut binary = |kind, inputs: &[ValueId]| call.add(Binary { kind }, inputs);
        Ok(vec![match (self.merge, both.joined) {
            (Merge::None, _) => return Ok(pair.to_vec()),
            (Merge::Concat, Some(joined)) => joined,
            (Merge::Concat, None) => {
                let axis = if self.forward.return_sequences { 2 } else { 1 };
                call.add(Concat { axis }, &pair)?
            }
            (Merge::Sum, _) => binary(BinaryKind::Add, &pair)?,
            (Merge::Multiply, _) => binary(BinaryKind::Multiply, &pair)?,
            (Merge::Average, _) => {
                let sum = binary(BinaryKind::Add, &pair)?;
                let half = call.constant(Tensor::scalar(0.5f32));
                call.add(Binary { kind: BinaryKind::Multiply }, &[sum, half])?
            }
        }])
    }
}

impl KerasLayer for Bidirectional {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let mut specs = Vec::new();
        let sides = [(&self.forward, "forward_layer"), (&self.backward, "backward_layer")];
        for (layer, path) in sides {
            let own = layer.specs(call, call.peek(0, "sequences"))?;
            specs.extend(own.into_iter().map(|spec| spec.below(path, &layer.name)));
        }
        Ok(specs)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let (steps, initial) = arguments(call)?;
        let initial = match initial {
            Some(mut ahead) => {
                let back = ahead.split_off(ahead.len() / 2);
                [Some(states(call, ahead)?), Some(states(call, back)?)]
            }
            None => [None, None],
        };
        let both = match self.shared_cell().filter(|_| !self.backward.misplaces_zeros(steps)) {
            Some(cell) => self.together(call, steps, cell, initial)?,
            None => self.apart(call, steps, initial)?,
        };
        let mask = if self.forward.return_sequences { steps.passed } else { None };
        self.penalize(call, &both)?;
        let merged = self.merged(call, &both)?.into_iter();
        let mut outputs: Vec<_> = merged.map(|value| LoweredTensor { value, mask }).collect();
        if self.forward.return_state {
            outputs.extend(both.states.into_iter().map(LoweredTensor::plain));
        }
        Ok(outputs)
    }

    fn acts_in_training(&self) -> bool {
        self.forward.drops() || self.backward.drops()
    }

    fn untrainable(&self) -> Option<String> {
        self.forward.untrainable.clone().or(self.backward.untrainable.clone())
    }
}
