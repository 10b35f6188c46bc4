//! Pooling over the whole of time.

use seqfuse_kernels::pool1d::{self, PoolShape};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::ops::{GlobalPool, GlobalPoolGradient, PoolKind};
use crate::runtime::RunError;

impl CpuOp for GlobalPool {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y, mask) = (lowering.input(0)?, lowering.result()?, lowering.optional(1));
        let &[batch, time, features] = &x.shape[..] else {
            return Err(lowering.refuse("its input does not have three dimensions".to_owned()));
        };
        let (shape, kind) = (PoolShape { batch, time, features }, self.kind);
        call(y, move |env, out| {
            let (x, out) = (env.get(&x), out.get_mut::<f32>(y.len));
            match kind {
                PoolKind::Max => pool1d::global_max(env.cpu, x, shape, out),
                PoolKind::Average => {
                    pool1d::global_average(env.cpu, x, env.optional(&mask), shape, out);
                }
            }
            Ok(())
        })
    }
}

impl CpuOp for GlobalPoolGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y, dy) = (lowering.input(0)?, lowering.optional(1), lowering.input(2)?);
        let (mask, target) = (lowering.optional(3), lowering.result()?);
        let &[batch, time, features] = &x.shape[..] else {
            return Err(lowering.refuse("its input does not have three dimensions".to_owned()));
        };
        let (shape, kind) = (PoolShape { batch, time, features }, self.kind);
        if kind == PoolKind::Max && y.is_none() {
            return Err(lowering.refuse("its result is missing".to_owned()));
        }
        call(target, move |env, out| {
            let (cpu, dy, out) = (env.cpu, env.get(&dy), out.get_mut::<f32>(target.len));
            match kind {
                PoolKind::Max => {
                    let y = env.optional(&y).unwrap_or_default();
                    pool1d::global_max_backward(cpu, env.get(&x), y, dy, shape, out);
                }
                PoolKind::Average => {
                    pool1d::global_average_backward(cpu, dy, env.optional(&mask), shape, out);
                }
            }
            Ok(())
        })
    }
}
