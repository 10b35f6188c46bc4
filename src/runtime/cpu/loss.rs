//! Losses and their gradients.

use seqfuse_kernels::loss::sparse_categorical_crossentropy::{self as sparse, SparseCall};
use seqfuse_kernels::loss::{self, ClassOutOfRange, LossCall};

use super::Env;
use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::graph::DType;
use crate::ops::{Loss, LossGradient, SparseCrossentropy, SparseCrossentropyGradient};
use crate::plan::Operand;
use crate::runtime::RunError;

fn classes(y_pred: &Operand) -> usize {
    y_pred.shape.last().copied().unwrap_or(1)
}

impl CpuOp for Loss {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (y_true, y_pred) = (lowering.input(0)?, lowering.input(1)?);
        let (target, kind, classes) = (lowering.result()?, self.kind, classes(&y_pred));
        call(target, move |env, out| {
            let call = LossCall { y_true: env.get(&y_true), y_pred: env.get(&y_pred), classes };
            loss::forward(env.cpu, kind, call, out.get_mut(target.len));
            Ok(())
        })
    }
}

impl CpuOp for LossGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (y_true, y_pred) = (lowering.input(0)?, lowering.input(1)?);
        let (upstream, target) = (lowering.input(2)?, lowering.result()?);
        let (kind, classes) = (self.kind, classes(&y_pred));
        call(target, move |env, out| {
            let call = LossCall { y_true: env.get(&y_true), y_pred: env.get(&y_pred), classes };
            loss::backward(env.cpu, kind, call, env.get(&upstream), out.get_mut(target.len));
            Ok(())
        })
    }
}

/// Calls `$body` with a [`SparseCall`] whose ids have the operand's type.
macro_rules! by_ids {
    ($env:ident, $op:expr, $ids:expr, $y_pred:expr, |$call:ident| $body:expr) => {{
        let SparseCrossentropy { from_logits, ignore_class } = $op;
        let (y_pred, classes) = ($env.get::<f32>(&$y_pred), classes(&$y_pred));
        match $ids.ty.dtype {
            DType::I64 => {
                let ids = $env.get::<i64>(&$ids);
                let $call = SparseCall { ids, y_pred, classes, from_logits, ignore_class };
                $body
            }
            _ => {
                let ids = $env.get::<i32>(&$ids);
                let $call = SparseCall { ids, y_pred, classes, from_logits, ignore_class };
                $body
            }
        }
    }};
}

/// The error of a target that names no class.
fn refuse(lowering: &Lowering<'_>) -> impl Fn(ClassOutOfRange) -> RunError + use<> {
    let node = lowering.graph.node(lowering.step.node).name.clone();
    move |ClassOutOfRange { sample, id, classes }| RunError::Class {
        node: node.clone(),
        id,
        sample,
        classes,
    }
}

impl CpuOp for SparseCrossentropy {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (ids, y_pred) = (lowering.input(0)?, lowering.input(1)?);
        let (target, op, refuse) = (lowering.result()?, *self, refuse(lowering));
        call(target, move |env: &Env<'_>, out| {
            let out = out.get_mut(target.len);
            by_ids!(env, op, ids, y_pred, |call| sparse::forward(env.cpu, call, out))
                .map_err(&refuse)
        })
    }
}

impl CpuOp for SparseCrossentropyGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (ids, y_pred) = (lowering.input(0)?, lowering.input(1)?);
        let (upstream, target) = (lowering.input(2)?, lowering.result()?);
        let (op, refuse) = (self.0, refuse(lowering));
        call(target, move |env: &Env<'_>, out| {
            let (upstream, out) = (env.get(&upstream), out.get_mut(target.len));
            by_ids!(env, op, ids, y_pred, |call| sparse::backward(env.cpu, call, upstream, out))
                .map_err(&refuse)
        })
    }
}
