//! The recurrences of training and their gradients.

use seqfuse_kernels::recurrent::training::{Steps, StepsBackward, StepsCall};
use seqfuse_kernels::{Cpu, Isa, gru, lstm, simple_rnn};

use super::Env;
use super::lowering::{CpuOp, Kernel, Lowering, Target, Weights, call_many, elements_of, shape_of};
use crate::graph::{TensorType, elements};
use crate::ops::{RecurrentCell, RecurrentSteps, RecurrentStepsGradient};
use crate::plan::{NodeShapes, Operand};
use crate::runtime::RunError;

impl RecurrentCell {
    fn workspace_len(self, isa: Isa, size: [usize; 3], dropout: usize) -> usize {
        match self {
            RecurrentCell::Lstm => lstm::training::workspace_len(isa, size, dropout),
            RecurrentCell::Gru { reset_after } => {
                gru::training::workspace_len(reset_after, isa, size, dropout)
            }
            RecurrentCell::SimpleRnn => simple_rnn::training::workspace_len(isa, size, dropout),
        }
    }

    fn backward_workspace_len(self, isa: Isa, size: [usize; 3], dropout: usize) -> usize {
        match self {
            RecurrentCell::Lstm => lstm::training::backward_workspace_len(isa, size, dropout),
            RecurrentCell::Gru { reset_after } => {
                gru::training::backward_workspace_len(reset_after, isa, size, dropout)
            }
            RecurrentCell::SimpleRnn => {
                simple_rnn::training::backward_workspace_len(isa, size, dropout)
            }
        }
    }

    fn forward(self, cpu: Cpu<'_>, call: StepsCall<'_>) {
        match self {
            RecurrentCell::Lstm => lstm::training::forward(cpu, call),
            RecurrentCell::Gru { reset_after } => gru::training::forward(cpu, reset_after, call),
            RecurrentCell::SimpleRnn => simple_rnn::training::forward(cpu, call),
        }
    }

    fn backward(self, cpu: Cpu<'_>, call: StepsBackward<'_>) {
        match self {
            RecurrentCell::Lstm => lstm::training::backward(cpu, call),
            RecurrentCell::Gru { reset_after } => gru::training::backward(cpu, reset_after, call),
            RecurrentCell::SimpleRnn => simple_rnn::training::backward(cpu, call),
        }
    }
}

/// The sizes of a walk: batch, time, units, and the sets of factors of h.
fn size(op: &RecurrentSteps, node: &NodeShapes<'_>, factors: usize) -> Option<([usize; 3], usize)> {
    let &[batch, time, _] = &shape_of(node, 0)?[..] else { return None };
    let sets = shape_of(node, factors).and_then(|shape| shape.first().copied()).unwrap_or(0);
    Some(([batch, time, op.units], sets))
}

/// What both ways read.
struct Common {
    batch: usize,
    time: usize,
    mask: Option<Operand>,
    kernel: Operand,
    factors: Option<Operand>,
    op: RecurrentSteps,
}

impl Common {
    /// By the slots of the gates or products, the mask, the kernel, and the factors of h.
    fn new(
        op: &RecurrentSteps,
        lowering: &Lowering<'_>,
        [mask, kernel, factors]: [usize; 3],
    ) -> Result<Common, RunError> {
        let &[batch, time, _] = &lowering.input(0)?.shape[..] else {
            return Err(lowering.refuse("its input does not have three dimensions".to_owned()));
        };
        Ok(Common {
            batch,
            time,
            mask: lowering.optional(mask),
            kernel: lowering.input(kernel)?,
            factors: lowering.optional(factors),
            op: op.clone(),
        })
    }

    fn steps<'a>(&'a self, env: &'a Env<'_>) -> Steps<'a> {
        Steps {
            batch: self.batch,
            time: self.time,
            units: self.op.units,
            activation: self.op.activation,
            recurrent_activation: self.op.recurrent_activation,
            backward: self.op.backward,
            zero_output_for_mask: self.op.zero_output_for_mask,
            mask: env.optional(&self.mask),
            recurrent_kernel: env.get(&self.kernel),
            recurrent_dropout: env.optional(&self.factors),
        }
    }
}

/// The elements of the gates and of what else is kept, where nobody takes them.
fn unwanted(node: &NodeShapes<'_>) -> usize {
    let kept = node.outputs.iter().zip(&node.used).skip(RecurrentSteps::GATES);
    kept.filter(|(_, used)| !**used).map(|(ty, _): (&TensorType, _)| elements(ty) as usize).sum()
}

impl CpuOp for RecurrentSteps {
    fn workspace(&self, node: &NodeShapes<'_>, weights: &Weights<'_>) -> usize {
        let sizes = size(self, node, RecurrentSteps::RECURRENT_DROPOUT);
        sizes.map_or(0, |(size, sets)| {
            4 * (self.cell.workspace_len(weights.isa, size, sets) + unwanted(node))
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let slots = [Self::MASK, Self::RECURRENT_KERNEL, Self::RECURRENT_DROPOUT];
        let common = Common::new(self, lowering, slots)?;
        let products = lowering.input(Self::PRODUCTS)?;
        let bias = lowering.optional(Self::RECURRENT_BIAS);
        let states = [Self::STATE_H, Self::STATE_C].map(|slot| lowering.optional(slot));
        let steps = common.batch * common.time * self.units;
        let kept = [self.cell.gates() * steps, self.cell.saved() * steps];
        let outputs: [Option<Target>; 6] = std::array::from_fn(|index| lowering.output(index));
        let [a, b, c, d, e, f] = outputs;
        let targets = [a, b, c, d, e, f, lowering.workspace()];
        call_many(targets, move |env, [sequence, last, h, c, gates, saved, room]| {
            let mut room = elements_of(room, targets[6]).unwrap_or_default();
            let mut place = |wanted, len: usize| match wanted {
                Some(wanted) => wanted,
                None => room.split_off_mut(..len).unwrap_or_default(),
            };
            let gates = place(elements_of(gates, targets[4]), kept[0]);
            let saved = place(elements_of(saved, targets[5]), kept[1]);
            let call = StepsCall {
                steps: common.steps(env),
                products: env.get(&products),
                recurrent_bias: env.optional(&bias),
                initial_h: env.optional(&states[0]),
                initial_c: env.optional(&states[1]),
                sequence: elements_of(sequence, targets[0]),
                last: elements_of(last, targets[1]),
                final_h: elements_of(h, targets[2]),
                final_c: elements_of(c, targets[3]),
                gates,
                saved,
                workspace: room,
            };
            common.op.cell.forward(env.cpu, call);
            Ok(())
        })
    }
}

impl CpuOp for RecurrentStepsGradient {
    fn workspace(&self, node: &NodeShapes<'_>, weights: &Weights<'_>) -> usize {
        let sizes = size(&self.0, node, 4);
        sizes.map_or(0, |(size, sets)| {
            let products = if node.used.first() == Some(&true) {
                0
            } else {
                size.iter().product::<usize>() * self.0.cell.gates()
            };
            4 * (self.0.cell.backward_workspace_len(weights.isa, size, sets) + products)
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let common = Common::new(&self.0, lowering, [2, 3, 4])?;
        let (gates, saved) = (lowering.input(0)?, lowering.input(1)?);
        let gradients = [5, 6, 7, 8].map(|slot| lowering.optional(slot));
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|index| lowering.output(index));
        let targets = [a, b, c, d, e, lowering.workspace()];
        call_many(targets, move |env, [products, kernel, bias, h, c, room]| {
            let call = StepsBackward {
                steps: common.steps(env),
                gates: env.get(&gates),
                saved: env.get(&saved),
                d_sequence: env.optional(&gradients[0]),
                d_last: env.optional(&gradients[1]),
                d_final_h: env.optional(&gradients[2]),
                d_final_c: env.optional(&gradients[3]),
                d_products: elements_of(products, targets[0]),
                d_recurrent_kernel: elements_of(kernel, targets[1]),
                d_recurrent_bias: elements_of(bias, targets[2]),
                d_initial_h: elements_of(h, targets[3]),
                d_initial_c: elements_of(c, targets[4]),
                workspace: elements_of(room, targets[5]).unwrap_or_default(),
            };
            common.op.cell.backward(env.cpu, call);
            Ok(())
        })
    }
}
