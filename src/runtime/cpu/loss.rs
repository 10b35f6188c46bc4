//! Losses of every sample, and their gradients.

use seqfuse_kernels::loss::{self, ClassOutOfRange, LossCall};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::{Loss, LossGradient, SparseCrossentropy, SparseCrossentropyGradient};
use crate::plan::Operand;
use crate::runtime::RunError;
use loss::sparse_categorical_crossentropy::{self as sparse, SparseCall};

fn classes(y_pred: &Operand) -> usize {
    y_pred.shape.last().copied().unwrap_or(1)
}

impl CpuOp for Loss {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (y_true, y_pred, out) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let (kind, classes) = (self.kind, classes(&y_pred));
        call(out, move |env, losses| {
            let call = LossCall { y_true: env.get(&y_true), y_pred: env.get(&y_pred), classes };
            loss::forward(env.cpu, kind, call, losses.get_mut(out.len));
            Ok(())
        })
    }
}

impl CpuOp for LossGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (y_true, y_pred, dy) = (lowering.input(0)?, lowering.input(1)?, lowering.input(2)?);
        let (kind, classes, out) = (self.kind, classes(&y_pred), lowering.result()?);
        call(out, move |env, gradient| {
            let call = LossCall { y_true: env.get(&y_true), y_pred: env.get(&y_pred), classes };
            loss::backward(env.cpu, kind, call, env.get(&dy), gradient.get_mut(out.len));
            Ok(())
        })
    }
}

/// Calls `body` with the ids in the type that they have.
macro_rules! by_type {
    ($op:expr, $env:expr, $ids:expr, $y_pred:expr, |$call:ident| $body:expr) => {
        match $ids.ty.dtype {
            DType::I64 => {
                let $call = sparse_call::<i64>($op, $env, $ids, $y_pred);
                $body
            }
            _ => {
                let $call = sparse_call::<i32>($op, $env, $ids, $y_pred);
                $body
            }
        }
    };
}

fn sparse_call<'a, I: sparse::ClassId + bytemuck::AnyBitPattern>(
    op: &SparseCrossentropy,
    env: &'a Env<'_>,
    ids: &'a Operand,
    y_pred: &'a Operand,
) -> SparseCall<'a, I> {
    SparseCall {
        ids: env.get(ids),
        y_pred: env.get(y_pred),
        classes: classes(y_pred),
        from_logits: op.from_logits,
        ignore_class: op.ignore_class,
    }
}

fn label_error(node: &str, error: ClassOutOfRange) -> RunError {
    let ClassOutOfRange { sample, id, classes } = error;
    RunError::Label { node: node.to_owned(), sample, id, classes }
}

impl CpuOp for SparseCrossentropy {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (ids, y_pred, out) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let (op, node) = (self.clone(), lowering.graph.node(lowering.step.node).name.clone());
        call(out, move |env, losses: &mut Buffer| {
            let losses = losses.get_mut(out.len);
            by_type!(&op, env, &ids, &y_pred, |call| sparse::forward(env.cpu, call, losses))
                .map_err(|error| label_error(&node, error))
        })
    }
}

impl CpuOp for SparseCrossentropyGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (ids, y_pred, dy) = (lowering.input(0)?, lowering.input(1)?, lowering.input(2)?);
        let (op, node) = (self.loss.clone(), lowering.graph.node(lowering.step.node).name.clone());
        let out = lowering.result()?;
        call(out, move |env, gradient: &mut Buffer| {
            let (dy, gradient) = (env.get(&dy), gradient.get_mut(out.len));
            by_type!(&op, env, &ids, &y_pred, |call| sparse::backward(env.cpu, call, dy, gradient))
                .map_err(|error| label_error(&node, error))
        })
    }
}
