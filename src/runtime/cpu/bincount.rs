//! Classes counted in rows.

use bytemuck::AnyBitPattern;
use seqfuse_kernels::bincount::{BincountCall, bincount};
use seqfuse_kernels::layout::{Index, IndexOutOfRange};

use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::Bincount;
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for Bincount {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (classes, weights, y) = (lowering.input(0)?, lowering.optional(1), lowering.result()?);
        let node = lowering.graph.node(lowering.step.node).name.clone();
        let op = self.clone();
        call(y, move |env, out| {
            let counted = match classes.ty.dtype {
                DType::I64 => count::<i64>(env, &op, &classes, weights.as_ref(), out, y),
                _ => count::<i32>(env, &op, &classes, weights.as_ref(), out, y),
            };
            counted.map_err(|IndexOutOfRange { position, value, size }| RunError::Position {
                node: node.clone(),
                value,
                index: position,
                size,
            })
        })
    }
}

fn count<I: Index + AnyBitPattern>(
    env: &Env<'_>,
    op: &Bincount,
    classes: &Operand,
    weights: Option<&Operand>,
    out: &mut Buffer,
    y: Target,
) -> Result<(), IndexOutOfRange> {
    let call = BincountCall {
        classes: env.get::<I>(classes),
        weights: weights.map(|weights| env.get(weights)),
        count: classes.shape.last().copied().unwrap_or(0),
        depth: op.depth,
        binary: op.binary,
    };
    bincount(env.cpu, call, out.get_mut(y.len))
}
