//! Slices by tuples of positions, checked.

use bytemuck::AnyBitPattern;
use seqfuse_kernels::gather_nd::{GatherNdCall, gather_nd};
use seqfuse_kernels::layout::{Index, IndexOutOfRange};

use super::layout::{Moved, by_size};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::GatherNd;
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for GatherNd {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, indices, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let depth = indices.shape.last().copied().unwrap_or(0);
        let batch = self.batch;
        if x.shape.get(..batch) != indices.shape.get(..batch) || x.shape.len() < batch + depth {
            let reason = format!("indices {:?} do not fit x {:?}", indices.shape, x.shape);
            return Err(lowering.refuse(reason));
        }
        let node = lowering.graph.node(lowering.step.node).name.clone();
        call(y, move |env, out| {
            let taken = by_size!(x, gather(env, &x, &indices, batch..batch + depth, out, y));
            taken.map_err(|outside| position(&node, outside))
        })
    }
}

/// The error that an index of a node names no element.
pub(super) fn position(node: &str, outside: IndexOutOfRange) -> RunError {
    let IndexOutOfRange { position, value, size } = outside;
    RunError::Position { node: node.to_owned(), value, index: position, size }
}

fn gather<T: Moved>(
    env: &Env<'_>,
    x: &Operand,
    indices: &Operand,
    named: std::ops::Range<usize>,
    out: &mut Buffer,
    y: Target,
) -> Result<(), IndexOutOfRange> {
    match indices.ty.dtype {
        DType::I64 => gather_by::<T, i64>(env, x, indices, named, out, y),
        _ => gather_by::<T, i32>(env, x, indices, named, out, y),
    }
}

fn gather_by<T: Moved, I: Index + AnyBitPattern>(
    env: &Env<'_>,
    x: &Operand,
    indices: &Operand,
    named: std::ops::Range<usize>,
    out: &mut Buffer,
    y: Target,
) -> Result<(), IndexOutOfRange> {
    let call = GatherNdCall {
        x: env.get::<T>(x),
        indices: env.get::<I>(indices),
        batch: x.shape[..named.start].iter().product(),
        sizes: &x.shape[named.clone()],
        inner: x.shape[named.end..].iter().product(),
    };
    gather_nd(env.cpu, call, out.get_mut::<T>(y.len))
}
