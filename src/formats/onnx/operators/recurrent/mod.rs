//! LSTM, GRU and RNN.
//!
//! What Keras's layers can say becomes an operator with a kernel of its own, both directions in one; the
//! rest (peepholes, clipping, coupled gates, activations with factors, weights that a run computes) becomes
//! a general one for each direction. What stands beyond a sequence's length, and what a sequence of
//! length 0 ends with, is zero, as in ONNX Runtime; the text leaves it open.

mod activations;
mod parts;

use super::compose;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::Problem;
use crate::graph::{Dim, ValueId};
use crate::ops::{
    Concat, Direction, GeneralRecurrent, Gru, Lstm, RecurrentCell, ScaledActivation, SimpleRnn,
};
use parts::Inputs;

/// The long short-term memory layer.
pub fn lstm(call: &mut Call<'_>) -> Outputs {
    let coupled = call.attributes.flag_or("input_forget", false)?;
    Layer::read(call, RecurrentCell::Lstm, coupled)?.lower(call)
}

/// The gated recurrent unit layer.
pub fn gru(call: &mut Call<'_>) -> Outputs {
    let reset_after = call.attributes.flag_or("linear_before_reset", false)?;
    Layer::read(call, RecurrentCell::Gru { reset_after }, false)?.lower(call)
}

/// The plain recurrent layer.
pub fn rnn(call: &mut Call<'_>) -> Outputs {
    Layer::read(call, RecurrentCell::SimpleRnn, false)?.lower(call)
}

/// ONNX Runtime's LSTM on quantized weights: `X` and the state are quantized by their own range.
pub fn dynamic_quantize_lstm(call: &mut Call<'_>) -> Outputs {
    let coupled = call.attributes.flag_or("input_forget", false)?;
    let cell = RecurrentCell::Lstm;
    let settings = Settings::read(call, cell)?;
    let inputs = Inputs::read_quantized(call, settings.direction.count())?;
    Layer { cell, coupled, settings, inputs, quantized: true }.lower(call)
}

/// A node as it was read.
struct Layer {
    cell: RecurrentCell,
    coupled: bool,
    settings: Settings,
    inputs: Inputs,
    /// Whether the state is quantized on its way into the recurrent product.
    quantized: bool,
}

/// The attributes that all cells have.
struct Settings {
    direction: Direction,
    is_batch_first: bool,
    clip: Option<f32>,
    /// Those of a direction after those of the other.
    activations: Vec<ScaledActivation>,
}

/// What a layer gives: the sequence `[batch, time, directions, units]` and the final states of each
/// direction.
struct Given {
    sequence: ValueId,
    finals: [Vec<ValueId>; 2],
}

impl Settings {
    fn read(call: &mut Call<'_>, cell: RecurrentCell) -> Result<Settings, Problem> {
        let direction = match call.attributes.string_or("direction", "forward")? {
            "forward" => Direction::Forward,
            "reverse" => Direction::Backward,
            "bidirectional" => Direction::Bidirectional,
            other => {
                let expected = "'forward', 'reverse' or 'bidirectional'";
                return Err(bad("direction", format!("'{other}'"), expected));
            }
        };
        let is_batch_first = call.opset() >= 14 && call.attributes.flag_or("layout", false)?;
        let clip = call.attributes.float("clip")?;
        if let Some(clip) = clip.filter(|clip| clip.is_nan() || *clip < 0.0) {
            return Err(bad("clip", clip.to_string(), "a number from 0 on"));
        }
        let defaults: &[&str] = match cell {
            RecurrentCell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            RecurrentCell::Gru { .. } => &["Sigmoid", "Tanh"],
            RecurrentCell::SimpleRnn => &["Tanh"],
        };
        let activations = activations::activations(call, defaults, direction.count())?;
        Ok(Settings { direction, is_batch_first, clip, activations })
    }
}

impl Layer {
    fn read(call: &mut Call<'_>, cell: RecurrentCell, coupled: bool) -> Result<Layer, Problem> {
        let settings = Settings::read(call, cell)?;
        let (count, is_batch_first) = (settings.direction.count(), settings.is_batch_first);
        let inputs = Inputs::read(call, cell.gates(), count, is_batch_first)?;
        Ok(Layer { cell, coupled, settings, inputs, quantized: false })
    }

    /// Gate, candidate and output of a direction.
    fn activations(&self, direction: usize) -> [ScaledActivation; 3] {
        let count = self.settings.activations.len() / self.settings.direction.count();
        match self.settings.activations.get(direction * count..).unwrap_or_default() {
            [only] | [only, ..] if count == 1 => [*only; 3],
            [gate, candidate, ..] if count == 2 => [*gate, *candidate, *candidate],
            [gate, candidate, output, ..] => [*gate, *candidate, *output],
            _ => [ScaledActivation::plain(crate::ops::Activation::Linear); 3],
        }
    }

    /// Whether a kernel of its own computes it.
    fn is_plain(&self, call: &Call<'_>) -> bool {
        let first = self.activations(0);
        let is_plain = |activation: &ScaledActivation| {
            *activation == ScaledActivation::plain(activation.function)
        };
        let weights = [Some(self.inputs.w), Some(self.inputs.r), self.inputs.b];
        self.settings.clip.is_none()
            && !self.coupled
            && !self.quantized
            && self.inputs.p.is_none()
            && first.iter().all(is_plain)
            && first[1] == first[2]
            && (1..self.settings.direction.count()).all(|other| self.activations(other) == first)
            && weights.into_iter().flatten().all(|weight| compose::is_fixed(call, weight))
    }

    fn lower(&self, call: &mut Call<'_>) -> Outputs {
        let given = match self.is_plain(call) {
            true => self.plain(call)?,
            false => self.general(call)?,
        };
        let y = match self.settings.is_batch_first {
            true => given.sequence,
            false => compose::turned(call, given.sequence, [1, 2, 0, 3])?,
        };
        let mut outputs = vec![y.into()];
        for finals in given.finals.iter().filter(|finals| !finals.is_empty()) {
            outputs.push(self.inputs.finals(call, finals)?.into());
        }
        Ok(outputs)
    }

    /// Both directions in one node.
    fn plain(&self, call: &mut Call<'_>) -> Result<Given, Problem> {
        let count = self.settings.direction.count();
        let apart = self.cell == RecurrentCell::Gru { reset_after: true };
        let states = if self.cell == RecurrentCell::Lstm { 2 } else { 1 };
        let mut slots = vec![Some(self.inputs.x), self.inputs.mask];
        for direction in 0..count {
            slots.extend(self.inputs.weights(call, direction, apart)?);
            slots.extend(self.inputs.initial(call, direction)?.into_iter().take(states));
        }
        let [gate, candidate, _] = self.activations(0).map(|activation| activation.function);
        let (units, direction) = (self.inputs.units, self.settings.direction);
        let (zero_output_for_mask, dropout, recurrent_dropout, implementation) =
            (true, 0.0, 0.0, 2);
        let outputs = match self.cell {
            RecurrentCell::Lstm => {
                let (activation, recurrent_activation) = (candidate, gate);
                let layer = Lstm {
                    units,
                    direction,
                    activation,
                    recurrent_activation,
                    zero_output_for_mask,
                    dropout,
                    recurrent_dropout,
                    implementation,
                };
                call.add_node(layer, slots)?
            }
            RecurrentCell::Gru { reset_after } => {
                let (activation, recurrent_activation) = (candidate, gate);
                let layer = Gru {
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
                call.add_node(layer, slots)?
            }
            RecurrentCell::SimpleRnn => {
                let activation = candidate;
                let layer = SimpleRnn {
                    units,
                    direction,
                    activation,
                    zero_output_for_mask,
                    dropout,
                    recurrent_dropout,
                };
                call.add_node(layer, slots)?
            }
        };
        let of_state = |state: usize| -> Vec<ValueId> {
            let finals = outputs.iter().skip(2 + state).step_by(states).take(count);
            finals.copied().collect()
        };
        let finals = [of_state(0), if states == 2 { of_state(1) } else { Vec::new() }];
        let sequence = self.apart(call, outputs[0], count)?;
        Ok(Given { sequence, finals })
    }

    /// A node for each direction.
    fn general(&self, call: &mut Call<'_>) -> Result<Given, Problem> {
        let apart = self.cell == RecurrentCell::Gru { reset_after: true };
        let (mut sequences, mut finals) = (Vec::new(), [Vec::new(), Vec::new()]);
        for direction in 0..self.settings.direction.count() {
            let [gate, candidate, output] = self.activations(direction);
            let layer = GeneralRecurrent {
                cell: self.cell,
                units: self.inputs.units,
                backward: direction == 1 || self.settings.direction == Direction::Backward,
                gate,
                candidate,
                output,
                clip: self.settings.clip,
                coupled: self.coupled,
                zero_output_for_mask: true,
                quantized_state: self.quantized,
            };
            let mut slots = vec![Some(self.inputs.x), self.inputs.mask];
            slots.extend(self.inputs.weights(call, direction, apart)?);
            slots.extend(self.inputs.initial(call, direction)?);
            slots.push(self.inputs.peepholes(call, direction)?);
            let outputs = call.add_node(layer, slots)?;
            sequences.push(self.apart(call, outputs[0], 1)?);
            finals[0].push(outputs[2]);
            if self.cell == RecurrentCell::Lstm {
                finals[1].push(outputs[3]);
            }
        }
        let sequence = match sequences[..] {
            [only] => only,
            _ => call.add(Concat { axis: 2 }, &sequences)?,
        };
        Ok(Given { sequence, finals })
    }

    /// A sequence with its directions apart, `[batch, time, count, units]`.
    fn apart(
        &self,
        call: &mut Call<'_>,
        sequence: ValueId,
        count: usize,
    ) -> Result<ValueId, Problem> {
        let [batch, time, _] = &call.value_ty(sequence).dims[..] else { return Ok(sequence) };
        let dims = [batch.clone(), time.clone(), Dim::Known(count), Dim::Known(self.inputs.units)];
        compose::shaped(call, sequence, dims)
    }
}
