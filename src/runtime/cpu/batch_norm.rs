//! Batch normalization in training.

use seqfuse_kernels::batch_norm::{
    self, BatchNormCall, BatchNormGradients, BatchNormOutput, BatchNormShape, Steps,
};

use super::Env;
use super::lowering::{CpuOp, Kernel, Lowering, Weights, call_many, elements_of, shape_of};
use crate::graph::{TensorType, elements};
use crate::ops::{BatchNormGradient, BatchNormTraining};
use crate::plan::{NodeShapes, Operand};
use crate::runtime::RunError;

fn shape(op: &BatchNormTraining, x: &[usize]) -> BatchNormShape {
    BatchNormShape {
        outer: x[..op.axis].iter().product(),
        channels: x[op.axis],
        inner: x[op.axis + 1..].iter().product(),
    }
}

/// The values that the kernels work in.
fn room(op: &BatchNormTraining, node: &NodeShapes<'_>) -> usize {
    let x = shape_of(node, 0).filter(|x| op.axis < x.len());
    x.map_or(0, |x| batch_norm::workspace_len(&shape(op, &x)))
}

/// What both ways read.
struct Common {
    shape: BatchNormShape,
    /// The size of the last axis, over which the mask is repeated.
    repeat: usize,
    x: Operand,
    gamma: Option<Operand>,
    mask: Option<Operand>,
    epsilon: f32,
}

impl Common {
    fn new(
        op: &BatchNormTraining,
        lowering: &Lowering<'_>,
        mask: usize,
    ) -> Result<Common, RunError> {
        let x = lowering.input(0)?;
        Ok(Common {
            shape: shape(op, &x.shape),
            repeat: x.shape.last().copied().unwrap_or(1),
            x,
            gamma: lowering.optional(1),
            mask: lowering.optional(mask),
            epsilon: op.epsilon,
        })
    }

    fn call<'a>(&'a self, env: &'a Env<'_>, beta: Option<&'a [f32]>) -> BatchNormCall<'a> {
        let steps = env.optional(&self.mask);
        BatchNormCall {
            shape: self.shape,
            x: env.get(&self.x),
            gamma: env.optional(&self.gamma),
            beta,
            steps: steps.map(|mask| Steps { mask, repeat: self.repeat }),
            epsilon: self.epsilon,
        }
    }
}

impl CpuOp for BatchNormTraining {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        // Outputs that nobody takes are written into the workspace.
        let unwanted = node.outputs.iter().zip(&node.used).filter(|(_, used)| !**used);
        let unwanted = unwanted.map(|(ty, _): (&TensorType, _)| elements(ty) as usize);
        4 * (room(self, node) + unwanted.sum::<usize>())
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (common, beta) = (Common::new(self, lowering, 3)?, lowering.optional(2));
        let (count, channels) = (common.x.len, common.shape.channels);
        let [a, b, c] = [0, 1, 2].map(|index| lowering.output(index));
        let targets = [a, b, c, lowering.workspace()];
        call_many(targets, move |env, [y, mean, variance, room]| {
            let mut room = elements_of(room, targets[3]).unwrap_or_default();
            let mut place = |wanted, len: usize| match wanted {
                Some(wanted) => wanted,
                None => room.split_off_mut(..len).unwrap_or_default(),
            };
            let out = BatchNormOutput {
                y: place(elements_of(y, targets[0]), count),
                mean: place(elements_of(mean, targets[1]), channels),
                variance: place(elements_of(variance, targets[2]), channels),
            };
            batch_norm::forward(env.cpu, common.call(env, env.optional(&beta)), out, room);
            Ok(())
        })
    }
}

impl CpuOp for BatchNormGradient {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        4 * room(&self.0, node)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let common = Common::new(&self.0, lowering, 2)?;
        let [mean, variance, dy] = [lowering.input(3)?, lowering.input(4)?, lowering.input(5)?];
        let [a, b, c] = [0, 1, 2].map(|index| lowering.output(index));
        let targets = [a, b, c, lowering.workspace()];
        call_many(targets, move |env, [dx, dgamma, dbeta, room]| {
            let gradients = BatchNormGradients {
                dx: elements_of(dx, targets[0]),
                dgamma: elements_of(dgamma, targets[1]),
                dbeta: elements_of(dbeta, targets[2]),
            };
            let moments = (env.get(&mean), env.get(&variance));
            let room = elements_of(room, targets[3]).unwrap_or_default();
            let call = common.call(env, None);
            batch_norm::backward(env.cpu, call, moments, env.get(&dy), gradients, room);
            Ok(())
        })
    }
}
