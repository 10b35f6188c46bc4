//! The fully connected layer.

use super::activate;
use super::lowering::{GpuOp, Lowering};
use crate::graph::{Graph, Node};
use crate::ops::Dense;
use crate::runtime::RunError;
use crate::runtime::gpu::{Activation, BMatrix, MatMul, WeightRef};

impl GpuOp for Dense {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        activate::check(self.activation)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, kernel, a) = (lowering.input(0)?, lowering.input(1)?, lowering.arena(0)?);
        let (output, y) = lowering.result()?;
        let (ins, outs) = kernel.shape.split_at(self.contract.min(kernel.shape.len()));
        let (inner, columns) = (ins.iter().product(), outs.iter().product());
        let kept = x.shape.len().saturating_sub(self.contract);
        let rows: usize = x.shape.iter().take(kept).product();
        let (b, bias) = operands(lowering)?;
        let (inner, columns) = (lowering.size(inner)?, lowering.size(columns)?);
        let fused = activate::elementwise(self.activation);
        let product = MatMul {
            batch: 1,
            rows: lowering.size(rows)?,
            inner,
            columns,
            a,
            b,
            bias,
            c: output,
            strides: [inner, columns, columns],
            batch_strides: [0; 3],
            activation: fused.unwrap_or(Activation::LINEAR),
        };
        let label = lowering.label();
        lowering.recorder.matmul(label, &product)?;
        if fused.is_some() {
            return Ok(());
        }
        // An activation over rows sees the last axis.
        let width = outs.last().copied().unwrap_or(1);
        activate::apply(lowering, self.activation, [y.len, width], output, output)
    }
}

/// Where kernel and bias lie. A computed kernel is read from the arena.
fn operands(lowering: &mut Lowering<'_>) -> Result<(BMatrix, Option<WeightRef>), RunError> {
    if lowering.is_fixed(1) {
        let refs = lowering.kernel(&[1, 2])?;
        return Ok((BMatrix::Weight(refs[0]), refs.get(1).copied()));
    }
    let bias = match lowering.optional(2) {
        Some(_) => lowering.plain(&[2])?.first().copied(),
        None => None,
    };
    Ok((BMatrix::Arena(lowering.arena(1)?), bias))
}
