//! Pooling over windows.

use seqfuse_kernels::window_pool::{self, Pooling, WindowPoolShape};

use super::conv::axes;
use super::lowering::{CpuOp, Kernel, Lowering, call, narrow};
use crate::ops::{PoolKind, WindowPool, WindowPoolGradient};
use crate::runtime::RunError;

impl CpuOp for WindowPool {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        let Some((batch, height, width, features)) = axes(&self.windows, &x.shape) else {
            return Err(lowering.refuse("its input has another rank than its windows".to_owned()));
        };
        let shape = WindowPoolShape { batch, height, width, features };
        let kind = pooling(self.kind);
        let reference = lowering.reference;
        call(y, move |env, out| {
            let (x, out) = (env.get(&x), out.get_mut::<f32>(y.len));
            match reference {
                true => {
                    narrow(&window_pool::reference::forward::<f32, f64>(kind, &shape, x), out);
                }
                false => window_pool::forward(env.cpu, kind, &shape, x, out),
            }
            Ok(())
        })
    }
}

impl CpuOp for WindowPoolGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, dy, target) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let Some((batch, height, width, features)) = axes(&self.windows, &x.shape) else {
            return Err(lowering.refuse("its input has another rank than its windows".to_owned()));
        };
        let shape = WindowPoolShape { batch, height, width, features };
        let kind = pooling(self.kind);
        call(target, move |env, out| {
            let out = out.get_mut::<f32>(target.len);
            window_pool::backward(env.cpu, kind, &shape, env.get(&x), env.get(&dy), out);
            Ok(())
        })
    }
}

fn pooling(kind: PoolKind) -> Pooling {
    match kind {
        PoolKind::Max => Pooling::Max,
        PoolKind::Average => Pooling::Average,
    }
}
