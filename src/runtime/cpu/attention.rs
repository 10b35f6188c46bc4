//! Attention: one call for all heads.

use seqfuse_kernels::attention::{
    self, AttentionCall, AttentionGradients, AttentionOutput, AttentionShape, PerScore,
    TrainingOutput, WeightDropout,
};
use seqfuse_kernels::random::Stream;

use super::Env;
use super::lowering::{CpuOp, Kernel, Lowering, Weights, call_many, elements_of, narrow, shape_of};
use crate::ops::{Attention, AttentionGradient, AttentionTraining};
use crate::plan::{NodeShapes, Operand};
use crate::runtime::RunError;

fn shape(query: &[usize], key: &[usize], value: &[usize]) -> Option<AttentionShape> {
    match (query, key, value) {
        (&[batch, queries, heads, dim], &[_, keys, kv_heads, _], &[_, _, _, value_dim]) => {
            Some(AttentionShape { batch, queries, keys, heads, kv_heads, dim, value_dim })
        }
        _ => None,
    }
}

fn output_len(shape: &AttentionShape) -> usize {
    shape.batch * shape.queries * shape.heads * shape.value_dim
}

impl CpuOp for Attention {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        let shape = shape_in(node);
        // Where only the scores are wanted, the output goes into the workspace.
        let unwanted = |shape: &AttentionShape| match node.used.first() {
            Some(true) => 0,
            _ => output_len(shape),
        };
        let scored = node.used.get(1) == Some(&true);
        shape.map_or(0, |shape| {
            let room = match scored {
                true => attention::workspace_len(&shape),
                false => attention::output_workspace_len(&shape, self.masked_row),
            };
            4 * (room + unwanted(&shape))
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let operands = Operands::new(self, lowering)?;
        let reference = lowering.reference;
        let shape = operands.shape;
        let targets = [lowering.output(0), lowering.output(1), lowering.workspace()];
        call_many(targets, move |env, [output, scores, workspace]| {
            let call = operands.call(env);
            let mut room = elements_of(workspace, targets[2]).unwrap_or_default();
            let output = match elements_of(output, targets[0]) {
                Some(output) => output,
                None => room.split_off_mut(..output_len(&shape)).unwrap_or_default(),
            };
            let scores = elements_of(scores, targets[1]);
            if reference {
                let (from_output, from_scores) = attention::reference::forward::<f32, f64>(&call);
                narrow(&from_output, output);
                scores.into_iter().for_each(|scores| narrow(&from_scores, scores));
            } else {
                attention::forward(env.cpu, &call, AttentionOutput { output, scores }, room);
            }
            Ok(())
        })
    }
}

fn shape_in(node: &NodeShapes<'_>) -> Option<AttentionShape> {
    shape(&shape_of(node, 0)?, &shape_of(node, 1)?, &shape_of(node, 2)?)
}

/// What forward and backward passes read.
struct Operands {
    shape: AttentionShape,
    query: Operand,
    key: Operand,
    value: Operand,
    mask: Option<Operand>,
    op: Attention,
}

impl Operands {
    fn new(op: &Attention, lowering: &Lowering<'_>) -> Result<Operands, RunError> {
        let (query, key, value) = (lowering.input(0)?, lowering.input(1)?, lowering.input(2)?);
        let Some(shape) = shape(&query.shape, &key.shape, &value.shape) else {
            return Err(lowering.refuse("its inputs do not have four dimensions".to_owned()));
        };
        Ok(Operands { shape, query, key, value, mask: lowering.optional(3), op: op.clone() })
    }

    fn call<'a>(&'a self, env: &'a Env<'_>) -> AttentionCall<'a> {
        let mask = self.mask.as_ref().and_then(|mask| match mask.shape[..] {
            [a, b, c, d] => Some(PerScore::new(env.get(mask), [a, b, c, d])),
            _ => None,
        });
        AttentionCall {
            shape: self.shape,
            query: env.get(&self.query),
            key: env.get(&self.key),
            value: env.get(&self.value),
            scale: self.op.scale,
            mask,
            bias: None,
            causal: self.op.causal,
            sliding_window: self.op.sliding_window,
            masked_row: self.op.masked_row,
        }
    }
}

/// The dropout of a run, where there is some.
fn dropout(op: &AttentionTraining, env: &Env<'_>, step: &Option<Operand>) -> Option<WeightDropout> {
    let &[seed, step] = env.optional::<i64>(step)? else { return None };
    let rate = f64::from(op.attention.dropout);
    let stream = Stream { seed: seed as u64, step: step as u64, node: op.stream };
    (rate > 0.0).then_some(WeightDropout { stream, rate })
}

impl CpuOp for AttentionTraining {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        let used = |index: usize| node.used.get(index) == Some(&true);
        shape_in(node).map_or(0, |shape| {
            let output = if used(0) { 0 } else { output_len(&shape) };
            let weights = if used(1) { 0 } else { scores_len(&shape) };
            4 * (attention::workspace_len(&shape) + output + weights)
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let operands = Operands::new(&self.attention, lowering)?;
        let (op, step) = (self.clone(), lowering.optional(Self::TRAINING_STEP));
        let [a, b, c] = [0, 1, 2].map(|index| lowering.output(index));
        let targets = [a, b, c, lowering.workspace()];
        call_many(targets, move |env, [output, weights, dropped, room]| {
            let mut room = elements_of(room, targets[3]).unwrap_or_default();
            let mut place = |wanted, len: usize| match wanted {
                Some(wanted) => wanted,
                None => room.split_off_mut(..len).unwrap_or_default(),
            };
            let out = TrainingOutput {
                output: place(elements_of(output, targets[0]), output_len(&operands.shape)),
                weights: place(elements_of(weights, targets[1]), scores_len(&operands.shape)),
                dropped: elements_of(dropped, targets[2]),
            };
            let dropout = dropout(&op, env, &step);
            attention::forward_training(env.cpu, &operands.call(env), dropout, out, room);
            Ok(())
        })
    }
}

fn scores_len(shape: &AttentionShape) -> usize {
    shape.batch * shape.heads * shape.queries * shape.keys
}

impl CpuOp for AttentionGradient {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        shape_in(node).map_or(0, |shape| 4 * attention::backward_workspace_len(&shape))
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let operands = Operands::new(&self.0.attention, lowering)?;
        let (op, step) = (self.0.clone(), lowering.optional(AttentionTraining::TRAINING_STEP));
        let (weights, d_output) = (lowering.input(Self::WEIGHTS)?, lowering.input(Self::D_OUTPUT)?);
        let others = [1, 2].map(|more| lowering.optional(Self::D_OUTPUT + more));
        let [a, b, c] = [0, 1, 2].map(|index| lowering.output(index));
        let targets = [a, b, c, lowering.workspace()];
        call_many(targets, move |env, [dquery, dkey, dvalue, room]| {
            let gradient = attention::AttentionGradient {
                call: operands.call(env),
                dropout: dropout(&op, env, &step),
                weights: env.get(&weights),
                doutput: env.get(&d_output),
                dweights: env.optional(&others[0]),
                ddropped: env.optional(&others[1]),
            };
            let out = AttentionGradients {
                dquery: elements_of(dquery, targets[0]),
                dkey: elements_of(dkey, targets[1]),
                dvalue: elements_of(dvalue, targets[2]),
                dbias: None,
            };
            let room = elements_of(room, targets[3]).unwrap_or_default();
            attention::backward(env.cpu, gradient, out, room);
            Ok(())
        })
    }
}
