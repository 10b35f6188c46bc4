//! Attention: one call for all heads.

use seqfuse_kernels::attention::{self, AttentionCall, AttentionOutput, AttentionShape, PerScore};

use super::lowering::{CpuOp, Kernel, Lowering, Weights, call_many, narrow};
use crate::graph::TensorType;
use crate::ops::Attention;
use crate::plan::NodeShapes;
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
        let of = |slot: usize| {
            node.inputs.get(slot).and_then(Option::as_ref).and_then(TensorType::shape)
        };
        let shapes = of(0).zip(of(1)).zip(of(2));
        let shape = shapes.and_then(|((query, key), value)| shape(&query, &key, &value));
        // Where only the scores are wanted, the output goes into the workspace.
        let unwanted = |shape: &AttentionShape| match node.used.first() {
            Some(true) => 0,
            _ => output_len(shape),
        };
        shape.map_or(0, |shape| 4 * (attention::workspace_len(&shape) + unwanted(&shape)))
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (query, key, value) = (lowering.input(0)?, lowering.input(1)?, lowering.input(2)?);
        let mask = lowering.optional(3);
        let Some(shape) = shape(&query.shape, &key.shape, &value.shape) else {
            return Err(lowering.refuse("its inputs do not have four dimensions".to_owned()));
        };
        let (op, reference) = (self.clone(), lowering.reference);
        let targets = [lowering.output(0), lowering.output(1), lowering.workspace()];
        call_many(targets, move |env, [output, scores, workspace]| {
            let mask = mask.as_ref().and_then(|mask| match mask.shape[..] {
                [a, b, c, d] => Some(PerScore::new(env.get(mask), [a, b, c, d])),
                _ => None,
            });
            let call = AttentionCall {
                shape,
                query: env.get(&query),
                key: env.get(&key),
                value: env.get(&value),
                scale: op.scale,
                mask,
                bias: None,
                causal: op.causal,
                sliding_window: op.sliding_window,
                masked_row: op.masked_row,
            };
            let mut room = workspace.get_mut::<f32>(targets[2].map_or(0, |target| target.len));
            let output = match targets[0] {
                Some(target) => output.get_mut::<f32>(target.len),
                None => room.split_off_mut(..output_len(&shape)).unwrap_or_default(),
            };
            let scores = targets[1].map(|target| scores.get_mut::<f32>(target.len));
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
