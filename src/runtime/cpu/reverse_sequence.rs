//! Sequences turned around, their lengths checked.

use bytemuck::AnyBitPattern;
use seqfuse_kernels::layout::Index;
use seqfuse_kernels::reverse_sequence::{BadLength, ReverseSequenceCall, reverse_sequence};

use super::layout::{Moved, by_size};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::ReverseSequence;
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for ReverseSequence {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, lengths, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        if lengths.shape != [x.shape[self.batch_axis]] {
            let reason = format!("lengths are {:?}, x is {:?}", lengths.shape, x.shape);
            return Err(lowering.refuse(reason));
        }
        let steps = x.shape[self.time_axis];
        let (op, node) = (self.clone(), lowering.graph.node(lowering.step.node).name.clone());
        call(y, move |env, out| {
            let turned = by_size!(x, turn(env, &op, &x, &lengths, out, y));
            // A length is one more than the last position.
            turned.map_err(|(index, value)| RunError::Position {
                node: node.clone(),
                value,
                index,
                size: steps + 1,
            })
        })
    }
}

fn turn<T: Moved>(
    env: &Env<'_>,
    op: &ReverseSequence,
    x: &Operand,
    lengths: &Operand,
    out: &mut Buffer,
    y: Target,
) -> Result<(), BadLength> {
    match lengths.ty.dtype {
        DType::I64 => turn_by::<T, i64>(env, op, x, lengths, out, y),
        _ => turn_by::<T, i32>(env, op, x, lengths, out, y),
    }
}

fn turn_by<T: Moved, I: Index + AnyBitPattern>(
    env: &Env<'_>,
    op: &ReverseSequence,
    x: &Operand,
    lengths: &Operand,
    out: &mut Buffer,
    y: Target,
) -> Result<(), BadLength> {
    let (first, second) = (op.batch_axis.min(op.time_axis), op.batch_axis.max(op.time_axis));
    let call = ReverseSequenceCall {
        x: env.get::<T>(x),
        lengths: env.get::<I>(lengths),
        outer: x.shape[..first].iter().product(),
        first: x.shape[first],
        middle: x.shape[first + 1..second].iter().product(),
        second: x.shape[second],
        inner: x.shape[second + 1..].iter().product(),
        time_first: op.time_axis == first,
    };
    reverse_sequence(call, out.get_mut::<T>(y.len))
}
