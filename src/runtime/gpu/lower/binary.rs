//! Arithmetic, comparison and logic of two operands.

use super::lowering::{GpuOp, Lowering, check_rank, four, strides};
use crate::graph::{DType, Graph, Node};
use crate::ops::{Binary, BinaryKind};
use crate::runtime::RunError;
use crate::runtime::gpu::{self, BMatrix, BinaryOp};

fn kernel(kind: BinaryKind) -> Option<BinaryOp> {
    match kind {
        BinaryKind::Add => Some(BinaryOp::Add),
        BinaryKind::Subtract => Some(BinaryOp::Subtract),
        BinaryKind::Multiply => Some(BinaryOp::Multiply),
        BinaryKind::Divide => Some(BinaryOp::Divide),
        BinaryKind::Maximum => Some(BinaryOp::Maximum),
        BinaryKind::Minimum => Some(BinaryOp::Minimum),
        BinaryKind::Power
        | BinaryKind::FloorDivide
        | BinaryKind::Modulo
        | BinaryKind::Remainder
        | BinaryKind::BitAnd
        | BinaryKind::BitOr
        | BinaryKind::BitXor
        | BinaryKind::ShiftLeft
        | BinaryKind::ShiftRight => None,
        BinaryKind::Equal => Some(BinaryOp::Equal),
        BinaryKind::NotEqual => Some(BinaryOp::NotEqual),
        BinaryKind::Less => Some(BinaryOp::Less),
        BinaryKind::LessEqual => Some(BinaryOp::LessEqual),
        BinaryKind::Greater => Some(BinaryOp::Greater),
        BinaryKind::GreaterEqual => Some(BinaryOp::GreaterEqual),
        BinaryKind::And => Some(BinaryOp::And),
        BinaryKind::Or => Some(BinaryOp::Or),
        BinaryKind::Xor => Some(BinaryOp::Xor),
    }
}

impl GpuOp for Binary {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        let dtype = node.inputs.first().copied().flatten().map(|id| graph.ty(id).dtype);
        if kernel(self.kind).is_none() {
            return Err(format!("{} has no GPU kernel", self.kind.name()));
        }
        // An i64 is 32 bits wide there, so that sums would wrap elsewhere.
        if !self.kind.gives_bool() && dtype != Some(DType::F32) {
            return Err("arithmetic of integers has no GPU kernel".to_owned());
        }
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (a, b, (output, y)) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let Some(op) = kernel(self.kind) else {
            return Err(lowering.refuse("powers have no GPU kernel".to_owned()));
        };
        let sizes = (four(&y.shape), four(&a.shape), four(&b.shape));
        let (Some(shape), Some(a_shape), Some(b_shape)) = sizes else {
            return Err(lowering.refuse("at most 4 dimensions of 32 bits are possible".to_owned()));
        };
        let call = gpu::Binary {
            op,
            integers: a.ty.dtype != DType::F32,
            shape,
            a: lowering.arena(0)?,
            a_strides: broadcast(a_shape, shape),
            b: match lowering.is_fixed(1) {
                true => BMatrix::Weight(lowering.plain(&[1])?[0]),
                false => BMatrix::Arena(lowering.arena(1)?),
            },
            b_strides: broadcast(b_shape, shape),
            output,
        };
        let label = lowering.label();
        Ok(lowering.recorder.binary(label, &call)?)
    }
}

/// Strides of an operand in a result of `shape`: 0 where it repeats.
fn broadcast(operand: [u32; 4], shape: [u32; 4]) -> [u32; 4] {
    let mut found = strides(operand);
    for (stride, (size, whole)) in found.iter_mut().zip(operand.into_iter().zip(shape)) {
        if size != whole || size == 1 {
            *stride = 0;
        }
    }
    found
}
