//! Keras's recurrent layers: a matrix product for the inputs of all steps, and one call for the
//! recurrence. A plain layer, and activations that the kernels of LSTM and GRU do not number, take a
//! call for each direction, see [`general_recurrent`].

use super::activate;
use super::general_recurrent::{self, Form};
use super::lowering::{GpuOp, Lowering, floats};
use crate::graph::{Graph, Node, Tensor};
use crate::ops::recurrent::{CellSlots, MASK};
use crate::ops::{Activation, Direction, Gru, Lstm, RecurrentCell, ScaledActivation, SimpleRnn};
use crate::plan::NodeShapes;
use crate::runtime::RunError;
use crate::runtime::gpu::packing::{InputWeights, pack_projection, pack_recurrent};
use crate::runtime::gpu::{
    Cell, GpuDevice, GpuError, MatMul, Recurrent, RecurrentConfig, RecurrentDirection, WeightRef,
};

/// Words between the projected inputs and the scratch memory behind them: 256 bytes.
const ALIGNMENT: usize = 64;

/// What the layers have in common.
#[derive(Clone, Copy, Debug)]
struct Layer {
    cell: RecurrentCell,
    /// The form of the packed weights.
    form: &'static str,
    slots: CellSlots,
    units: usize,
    direction: Direction,
    activation: Activation,
    recurrent_activation: Activation,
    zero_output_for_mask: bool,
}

impl From<&Lstm> for Layer {
    fn from(op: &Lstm) -> Layer {
        Layer {
            cell: RecurrentCell::Lstm,
            form: "lstm",
            slots: Lstm::SLOTS,
            units: op.units,
            direction: op.direction,
            activation: op.activation,
            recurrent_activation: op.recurrent_activation,
            zero_output_for_mask: op.zero_output_for_mask,
        }
    }
}

impl From<&Gru> for Layer {
    fn from(op: &Gru) -> Layer {
        Layer {
            cell: RecurrentCell::Gru { reset_after: op.reset_after },
            form: if op.reset_after { "gru, reset after" } else { "gru" },
            slots: Gru::SLOTS,
            units: op.units,
            direction: op.direction,
            activation: op.activation,
            recurrent_activation: op.recurrent_activation,
            zero_output_for_mask: op.zero_output_for_mask,
        }
    }
}

impl From<&SimpleRnn> for Layer {
    fn from(op: &SimpleRnn) -> Layer {
        Layer {
            cell: RecurrentCell::SimpleRnn,
            form: "simple_rnn",
            slots: SimpleRnn::SLOTS,
            units: op.units,
            direction: op.direction,
            activation: op.activation,
            recurrent_activation: Activation::Linear,
            zero_output_for_mask: op.zero_output_for_mask,
        }
    }
}

macro_rules! gpu_op {
    ($($op:ty),*) => {$(
        impl GpuOp for $op {
            fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
                let layer = Layer::from(self);
                layer.config().map(|_| ()).or_else(|_| layer.general(0).check())
            }

            fn workspace(&self, node: &NodeShapes<'_>, device: &GpuDevice) -> usize {
                Layer::from(self).workspace(node, device)
            }

            fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
                Layer::from(self).lower(lowering)
            }
        }
    )*};
}
gpu_op!(Lstm, Gru, SimpleRnn);

impl Layer {
    /// What the kernels of their own that LSTM and GRU have are compiled for.
    fn config(&self) -> Result<RecurrentConfig, String> {
        let known = |activation| {
            activate::elementwise(activation)
                .ok_or_else(|| format!("activation {activation:?} has no GPU kernel in a cell"))
        };
        let cell = match self.cell {
            RecurrentCell::Lstm => Cell::Lstm,
            RecurrentCell::Gru { reset_after } => Cell::Gru { reset_after },
            RecurrentCell::SimpleRnn => return Err("it has no kernel of its own".to_owned()),
        };
        Ok(RecurrentConfig {
            cell,
            units: u32::try_from(self.units).map_err(|_| "it has too many units".to_owned())?,
            activation: known(self.activation)?,
            recurrent_activation: known(self.recurrent_activation)?,
        })
    }

    fn is_backward(&self, index: usize) -> bool {
        index == 1 || self.direction == Direction::Backward
    }

    /// One direction for the kernel of every form.
    fn general(&self, index: usize) -> Form {
        let activation = ScaledActivation::plain(self.activation);
        Form {
            cell: self.cell,
            units: self.units,
            gate: ScaledActivation::plain(self.recurrent_activation),
            candidate: activation,
            output: activation,
            clip: None,
            coupled: false,
            backward: self.is_backward(index),
            zero_output_for_mask: self.zero_output_for_mask,
        }
    }

    fn lower_general(&self, lowering: &mut Lowering<'_>, workspace: u32) -> Result<(), RunError> {
        let (slots, width) = (self.slots, self.direction.count() * self.units);
        let has_c = slots.states > 1;
        for index in 0..self.direction.count() {
            let columns = lowering.size(index * self.units)?;
            let from = |target: Option<u32>| target.map(|offset| offset + columns);
            let last_state = |at| lowering.output(slots.final_state(index, at));
            let places = general_recurrent::Places {
                kernel: slots.kernel(index),
                bias: slots.bias(index),
                mask: MASK,
                states: [Some(slots.state(index, 0)), has_c.then(|| slots.state(index, 1))],
                peepholes: None,
                sequence: (from(lowering.output(0)), width),
                last: (from(lowering.output(1)), width),
                finals: [last_state(0), if has_c { last_state(1) } else { None }],
            };
            self.general(index).record(lowering, &places, workspace)?;
        }
        Ok(())
    }

    /// Words of the projected inputs of `steps` rows and steps.
    fn projected(&self, steps: usize) -> usize {
        let columns = self.direction.count() * self.cell.gates() * self.units;
        steps.saturating_mul(columns)
    }

    fn workspace(&self, node: &NodeShapes<'_>, device: &GpuDevice) -> usize {
        let shape = node.inputs.first().and_then(|x| x.as_ref()?.shape()).unwrap_or_default();
        let &[batch, time, _] = &shape[..] else { return 0 };
        let Ok(config) = self.config() else { return self.general(0).workspace(batch, time) };
        let batch_words = u32::try_from(batch).unwrap_or(u32::MAX);
        let scratch = config.scratch_words(device, batch_words, self.direction.count() as u32);
        let projected = self.projected(batch.saturating_mul(time));
        let words = projected.saturating_add(ALIGNMENT).saturating_add(scratch as usize);
        words.saturating_mul(4)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let x = lowering.input(0)?;
        let &[batch, time, features] = &x.shape[..] else {
            return Err(lowering.refuse("its input does not have three dimensions".to_owned()));
        };
        let Some(workspace) = lowering.workspace() else {
            return Err(lowering.refuse("it was given no workspace".to_owned()));
        };
        let Ok(config) = self.config() else { return self.lower_general(lowering, workspace) };
        let (label, weights) = (lowering.label(), self.weights(lowering, config.cell, features)?);
        let count = self.direction.count();
        let columns = lowering.size(self.projected(1))?;
        let a = lowering.arena(0)?;
        let (rows, inner) = (lowering.size(batch * time)?, lowering.size(features)?);
        let mut product = MatMul::dense(rows, inner, columns, a, weights[0], workspace);
        product.bias = Some(weights[1]);
        lowering.recorder.matmul(label, &product)?;

        let mut directions = Vec::with_capacity(count);
        for index in 0..count {
            let of_direction = columns / count as u32 * index as u32;
            let projected = workspace + of_direction;
            directions.push(self.direction(lowering, index, projected, weights[2 + index])?);
        }
        let width = lowering.size(count * self.units)?;
        let behind = self.projected(batch * time).next_multiple_of(ALIGNMENT);
        let scratch = u64::from(workspace) + behind as u64;
        let op = Recurrent {
            config,
            batch: lowering.size(batch)?,
            time: lowering.size(time)?,
            directions: &directions,
            mask: lowering.optional_arena(MASK)?,
            zero_output_for_mask: self.zero_output_for_mask,
            projected_stride: columns,
            sequence_stride: width,
            last_stride: width,
            scratch: u32::try_from(scratch).ok(),
        };
        Ok(lowering.recorder.recurrent(label, &op)?)
    }

    /// One direction: where its states come from and where its outputs go.
    fn direction(
        &self,
        lowering: &mut Lowering<'_>,
        index: usize,
        projected: u32,
        recurrent: WeightRef,
    ) -> Result<RecurrentDirection, RunError> {
        let columns = lowering.size(index * self.units)?;
        let has_c = self.slots.states > 1;
        let state =
            |lowering: &mut Lowering<'_>, at| lowering.optional_arena(self.slots.state(index, at));
        let initial_h = state(lowering, 0)?;
        let initial_c = if has_c { state(lowering, 1)? } else { None };
        let last_state = |at| lowering.output(self.slots.final_state(index, at));
        Ok(RecurrentDirection {
            backward: self.is_backward(index),
            initial_h,
            initial_c,
            sequence: lowering.output(0).map(|at| at + columns),
            last: lowering.output(1).map(|at| at + columns),
            final_h: last_state(0),
            final_c: if has_c { last_state(1) } else { None },
            ..RecurrentDirection::new(projected, recurrent)
        })
    }

    /// The projection's kernel and bias, then the recurrent weights of each direction.
    fn weights(
        &self,
        lowering: &mut Lowering<'_>,
        cell: Cell,
        features: usize,
    ) -> Result<Vec<WeightRef>, RunError> {
        let count = self.direction.count();
        let slots = (0..count).flat_map(|direction| {
            let slots = self.slots;
            [slots.kernel(direction), slots.recurrent_kernel(direction), slots.bias(direction)]
        });
        let slots: Vec<usize> = slots.collect();
        // All but the projection's bias.
        lowering.packed_halves(self.form, &[0, 2, 3], &slots, |tensors| {
            self.pack(cell, features, tensors)
        })
    }

    fn pack(
        &self,
        cell: Cell,
        features: usize,
        tensors: &[Option<&Tensor>],
    ) -> Result<Vec<Vec<f32>>, GpuError> {
        let count = self.direction.count();
        let of = |direction: usize, part: usize| floats(tensors, 3 * direction + part);
        let inputs: Vec<InputWeights<'_>> = (0..count)
            .map(|direction| InputWeights {
                kernel: of(direction, 0).unwrap_or_default(),
                bias: of(direction, 2),
            })
            .collect();
        let projection = pack_projection(cell, features, self.units, &inputs)?;
        let mut parts = vec![projection.kernel, projection.bias];
        for direction in 0..count {
            let kernel = of(direction, 1).unwrap_or_default();
            parts.push(pack_recurrent(cell, self.units, kernel, of(direction, 2))?);
        }
        Ok(parts)
    }
}
