//! Reductions along adjacent axes.

use seqfuse_kernels::reduce::{self, Extent};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::graph::DType;
use crate::ops::{Reduce, ReduceKind};
use crate::runtime::RunError;

impl CpuOp for Reduce {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y, kind) = (lowering.input(0)?, lowering.result()?, self.kind);
        let end = self.first + self.count;
        let extent = Extent {
            outer: x.shape[..self.first].iter().product(),
            axis: x.shape[self.first..end].iter().product(),
            inner: x.shape[end..].iter().product(),
        };
        macro_rules! numbers {
            ($element:ty) => {
                call(y, move |env, out| {
                    let (x, out) = (env.get::<$element>(&x), out.get_mut::<$element>(y.len));
                    match kind {
                        ReduceKind::Max => reduce::max(env.cpu, x, extent, out),
                        ReduceKind::Min => reduce::min(env.cpu, x, extent, out),
                        ReduceKind::Prod => reduce::prod(env.cpu, x, extent, out),
                        _ => reduce::sum(env.cpu, x, extent, out),
                    }
                    Ok(())
                })
            };
        }
        match (kind, x.ty.dtype) {
            (ReduceKind::Mean, _) => call(y, move |env, out| {
                reduce::mean(env.cpu, env.get(&x), extent, out.get_mut(y.len));
                Ok(())
            }),
            (ReduceKind::Any, _) => call(y, move |env, out| {
                reduce::any(env.cpu, env.get(&x), extent, out.get_mut(y.len));
                Ok(())
            }),
            (ReduceKind::All, _) => call(y, move |env, out| {
                reduce::all(env.cpu, env.get(&x), extent, out.get_mut(y.len));
                Ok(())
            }),
            (_, DType::I32) => numbers!(i32),
            (_, DType::I64) => numbers!(i64),
            _ => numbers!(f32),
        }
    }
}
