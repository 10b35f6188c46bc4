//! LSTM, GRU and the plain recurrent layer: one call for all steps and directions.

use std::any::Any;
use std::sync::Arc;

use seqfuse_kernels::recurrent::{Direction, RecurrentCall};
use seqfuse_kernels::{Cpu, Isa, gru, lstm, simple_rnn};

use super::lowering::{CpuOp, Kernel, Lowering, Target, Weights, call_many};
use super::recurrent_reference::{self, ReferenceLayer};
use super::{Buffer, Env};
use crate::ops::recurrent::{CellSlots, MASK};
use crate::ops::{Activation, Gru, Lstm, SimpleRnn};
use crate::plan::{NodeShapes, Operand};
use crate::runtime::RunError;

/// What the three recurrent operators have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes {
    pub slots: CellSlots,
    pub units: usize,
    pub directions: usize,
    /// Whether direction 0 walks backward; direction 1 always does.
    pub backward: bool,
    pub activation: Activation,
    pub recurrent_activation: Activation,
    pub zero_output_for_mask: bool,
}

/// A recurrent operator and its kernel.
trait Layer: CpuOp + Clone {
    /// The packed weights of one direction.
    type Packed: Any + Send + Sync;

    fn attributes_of(&self) -> Attributes;
    fn pack(&self, isa: Isa, input: usize, weights: [Option<&[f32]>; 3]) -> Self::Packed;
    fn room(weights: &Self::Packed, directions: usize, batch: usize, time: usize) -> usize;
    fn forward(cpu: Cpu<'_>, call: RecurrentCall<'_, Self::Packed>);
    fn step() -> recurrent_reference::StepFn;
    fn reset_after(&self) -> bool {
        false
    }
}

macro_rules! attributes {
    ($op:ident, $recurrent:expr) => {
        Attributes {
            slots: Self::SLOTS,
            units: $op.units,
            directions: $op.direction.count(),
            backward: $op.direction == crate::ops::Direction::Backward,
            activation: $op.activation,
            recurrent_activation: $recurrent,
            zero_output_for_mask: $op.zero_output_for_mask,
        }
    };
}

impl Layer for Lstm {
    type Packed = lstm::LstmWeights;

    fn attributes_of(&self) -> Attributes {
        attributes!(self, self.recurrent_activation)
    }

    fn pack(&self, isa: Isa, input: usize, [w, r, b]: [Option<&[f32]>; 3]) -> Self::Packed {
        let (w, r) = (w.unwrap_or_default(), r.unwrap_or_default());
        lstm::LstmWeights::pack(isa, input, self.units, w, r, b)
    }

    fn room(weights: &Self::Packed, directions: usize, batch: usize, time: usize) -> usize {
        weights.workspace_len(directions, batch, time)
    }

    fn forward(cpu: Cpu<'_>, call: RecurrentCall<'_, Self::Packed>) {
        lstm::forward(cpu, call);
    }

    fn step() -> recurrent_reference::StepFn {
        lstm::reference::step
    }
}

impl Layer for Gru {
    type Packed = gru::GruWeights;

    fn attributes_of(&self) -> Attributes {
        attributes!(self, self.recurrent_activation)
    }

    fn pack(&self, isa: Isa, input: usize, [w, r, b]: [Option<&[f32]>; 3]) -> Self::Packed {
        let (w, r) = (w.unwrap_or_default(), r.unwrap_or_default());
        gru::GruWeights::pack(isa, (input, self.units), self.reset_after, w, r, b)
    }

    fn room(weights: &Self::Packed, directions: usize, batch: usize, time: usize) -> usize {
        weights.workspace_len(directions, batch, time)
    }

    fn forward(cpu: Cpu<'_>, call: RecurrentCall<'_, Self::Packed>) {
        gru::forward(cpu, call);
    }

    fn step() -> recurrent_reference::StepFn {
        gru::reference::step
    }

    fn reset_after(&self) -> bool {
        self.reset_after
    }
}

impl Layer for SimpleRnn {
    type Packed = simple_rnn::SimpleRnnWeights;

    fn attributes_of(&self) -> Attributes {
        attributes!(self, Activation::Linear)
    }

    fn pack(&self, isa: Isa, input: usize, [w, r, b]: [Option<&[f32]>; 3]) -> Self::Packed {
        let (w, r) = (w.unwrap_or_default(), r.unwrap_or_default());
        simple_rnn::SimpleRnnWeights::pack(isa, input, self.units, w, r, b)
    }

    fn room(weights: &Self::Packed, directions: usize, batch: usize, time: usize) -> usize {
        weights.workspace_len(directions, batch, time)
    }

    fn forward(cpu: Cpu<'_>, call: RecurrentCall<'_, Self::Packed>) {
        simple_rnn::forward(cpu, call);
    }

    fn step() -> recurrent_reference::StepFn {
        simple_rnn::reference::step
    }
}

macro_rules! cpu_op {
    ($($op:ty),*) => {$(
        impl CpuOp for $op {
            fn workspace(&self, node: &NodeShapes<'_>, weights: &Weights<'_>) -> usize {
                workspace(self, node, weights)
            }

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
                lower(self, lowering)
            }
        }
    )*};
}
cpu_op!(Lstm, Gru, SimpleRnn);

fn packed<L: Layer>(
    layer: &L,
    weights: &Weights<'_>,
    input: usize,
    direction: usize,
) -> Result<Arc<L::Packed>, RunError> {
    let slots = layer.attributes_of().slots;
    let slots = [slots.kernel(direction), slots.recurrent_kernel(direction), slots.bias(direction)];
    // Without a bias nothing else tells the two forms of a GRU apart.
    let form = u8::from(layer.reset_after());
    weights.packed_as(form, slots, |found| layer.pack(weights.isa, input, found))
}

fn workspace<L: Layer>(layer: &L, node: &NodeShapes<'_>, weights: &Weights<'_>) -> usize {
    let x = node.inputs.first().and_then(Option::as_ref).and_then(|ty| ty.shape());
    let Some(&[batch, time, features]) = x.as_deref() else { return 0 };
    let packed = packed(layer, weights, features, 0);
    // Weights that cannot be packed are refused when the node is lowered.
    let directions = layer.attributes_of().directions;
    packed.map_or(0, |packed| 4 * L::room(&packed, directions, batch, time))
}

/// The operands of a recurrent node.
struct Operands {
    x: Operand,
    batch: usize,
    time: usize,
    mask: Option<Operand>,
    initial: [[Option<Operand>; 2]; 2],
    /// Sequence, last output, then h and c of each direction.
    outputs: [Option<Target>; 6],
}

fn operands(lowering: &Lowering<'_>, attributes: Attributes) -> Result<Operands, RunError> {
    let x = lowering.input(0)?;
    let &[batch, time, _] = &x.shape[..] else {
        return Err(lowering.refuse("its input does not have three dimensions".to_owned()));
    };
    let slots = attributes.slots;
    let mut initial = [const { [const { None }; 2] }; 2];
    let mut outputs = [lowering.output(0), lowering.output(1), None, None, None, None];
    for direction in 0..attributes.directions {
        for state in 0..slots.states {
            initial[direction][state] = lowering.optional(slots.state(direction, state));
            outputs[2 + 2 * direction + state] =
                lowering.output(slots.final_state(direction, state));
        }
    }
    Ok(Operands { x, batch, time, mask: lowering.optional(MASK), initial, outputs })
}

fn lower<L: Layer>(layer: &L, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
    let attributes = layer.attributes_of();
    let operands = operands(lowering, attributes)?;
    if lowering.reference {
        return reference(layer, lowering, operands);
    }
    let features = operands.x.shape[2];
    let weights = lowering.weights();
    let packed = (0..attributes.directions)
        .map(|direction| packed(layer, &weights, features, direction))
        .collect::<Result<Vec<_>, _>>()?;
    let [a, b, c, d, e, f] = operands.outputs;
    let targets = [a, b, c, d, e, f, lowering.workspace()];
    call_many(targets, move |env, buffers| {
        run::<L>(env, buffers, &targets, &packed, attributes, &operands);
        Ok(())
    })
}

fn run<L: Layer>(
    env: &Env<'_>,
    buffers: &mut [Buffer; 7],
    targets: &[Option<Target>; 7],
    packed: &[Arc<L::Packed>],
    attributes: Attributes,
    operands: &Operands,
) {
    let mut outputs = buffers.each_mut().map(Some);
    let mut output = |index: usize| {
        let (buffer, target) = (outputs[index].take()?, targets[index]?);
        Some(buffer.get_mut::<f32>(target.len))
    };
    let (sequence, last) = (output(0), output(1));
    let mut direction = |index: usize| Direction {
        weights: &*packed[index.min(packed.len() - 1)],
        backward: index == 1 || attributes.backward,
        initial_h: env.optional(&operands.initial[index][0]),
        initial_c: env.optional(&operands.initial[index][1]),
        final_h: output(2 + 2 * index),
        final_c: output(3 + 2 * index),
    };
    let mut directions = [direction(0), direction(1)];
    let workspace = output(6).unwrap_or_default();
    let call = RecurrentCall {
        batch: operands.batch,
        time: operands.time,
        activation: attributes.activation,
        recurrent_activation: attributes.recurrent_activation,
        zero_output_for_mask: attributes.zero_output_for_mask,
        x: env.get(&operands.x),
        mask: env.optional(&operands.mask),
        directions: &mut directions[..attributes.directions],
        sequence,
        last,
        workspace,
    };
    L::forward(env.cpu, call);
}

/// The same with the reference kernel, a row at a time.
fn reference<L: Layer>(
    layer: &L,
    lowering: &Lowering<'_>,
    operands: Operands,
) -> Result<Box<dyn Kernel>, RunError> {
    let attributes = layer.attributes_of();
    let slots = attributes.slots;
    let weights = |direction| -> Result<[Option<Operand>; 3], RunError> {
        let kernel = lowering.input(slots.kernel(direction))?;
        let recurrent = lowering.input(slots.recurrent_kernel(direction))?;
        Ok([Some(kernel), Some(recurrent), lowering.optional(slots.bias(direction))])
    };
    let weights = (0..attributes.directions).map(weights).collect::<Result<Vec<_>, _>>()?;
    let targets = operands.outputs;
    let (step, reset_after) = (L::step(), layer.reset_after());
    call_many(targets, move |env, buffers| {
        let layer = ReferenceLayer {
            batch: operands.batch,
            time: operands.time,
            x: env.get(&operands.x),
            mask: env.optional(&operands.mask),
            attributes,
            reset_after,
            step,
        };
        for (index, weights) in weights.iter().enumerate() {
            let [kernel, recurrent, bias] = [0, 1, 2].map(|at| env.optional(&weights[at]));
            let initial = [0, 1].map(|at| env.optional(&operands.initial[index][at]));
            let weights = [kernel.unwrap_or_default(), recurrent.unwrap_or_default()];
            let rows = layer.run(index, weights, bias, initial);
            layer.write(index, &rows, buffers, &targets);
        }
        Ok(())
    })
}
