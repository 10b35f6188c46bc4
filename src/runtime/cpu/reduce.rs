//! Reductions along adjacent axes.

use seqfuse_kernels::reduce::{self, Extent};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::graph::DType;
use crate::ops::{Reduce, ReduceGradient, ReduceKind};
use crate::runtime::RunError;

impl CpuOp for Reduce {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y, kind) = (lowering.input(0)?, lowering.result()?, self.kind);
        let extent = extent(&x.shape, self.first, self.count);
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
        macro_rules! whole_mean {
            ($element:ty) => {
                call(y, move |env, out| {
                    let out = out.get_mut::<$element>(y.len);
                    reduce::mean_integer(env.cpu, env.get::<$element>(&x), extent, out);
                    Ok(())
                })
            };
        }
        match (kind, x.ty.dtype) {
            (ReduceKind::Mean, DType::I32) => whole_mean!(i32),
            (ReduceKind::Mean, DType::I64) => whole_mean!(i64),
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
            (_, DType::U64) => numbers!(u64),
            (_, DType::F64) => numbers!(f64),
            _ => numbers!(f32),
        }
    }
}

impl CpuOp for ReduceGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y, dy) = (lowering.input(0)?, lowering.optional(1), lowering.input(2)?);
        let (target, kind) = (lowering.result()?, self.kind);
        let extent = extent(&x.shape, self.first, self.count);
        if matches!(kind, ReduceKind::Max | ReduceKind::Min) && y.is_none() {
            return Err(lowering.refuse("its result is missing".to_owned()));
        }
        call(target, move |env, out| {
            let (cpu, dy, out) = (env.cpu, env.get(&dy), out.get_mut::<f32>(target.len));
            match kind {
                ReduceKind::Max | ReduceKind::Min => {
                    let y = env.optional(&y).unwrap_or_default();
                    reduce::extremum_backward(cpu, env.get(&x), y, dy, extent, out);
                }
                ReduceKind::Prod => reduce::prod_backward(cpu, env.get(&x), dy, extent, out),
                ReduceKind::Mean => {
                    reduce::sum_backward(cpu, dy, extent, 1.0 / extent.axis as f32, out);
                }
                _ => reduce::sum_backward(cpu, dy, extent, 1.0, out),
            }
            Ok(())
        })
    }
}

/// The axes of `shape` about the `count` ones from `first` on.
fn extent(shape: &[usize], first: usize, count: usize) -> Extent {
    Extent {
        outer: shape[..first].iter().product(),
        axis: shape[first..first + count].iter().product(),
        inner: shape[first + count..].iter().product(),
    }
}
