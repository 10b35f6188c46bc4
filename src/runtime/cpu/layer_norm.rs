//! Layer normalization.

use seqfuse_kernels::layer_norm::{self, LayerNormCall};

use super::lowering::{CpuOp, Kernel, Lowering, call, narrow};
use crate::ops::LayerNorm;
use crate::runtime::RunError;

impl CpuOp for LayerNorm {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        let (gamma, beta) = (lowering.optional(1), lowering.optional(2));
        let features = x.shape[x.shape.len().saturating_sub(self.axes)..].iter().product();
        let (epsilon, form, reference) = (self.epsilon, self.form, lowering.reference);
        call(y, move |env, out| {
            let out = out.get_mut::<f32>(y.len);
            let (gamma, beta) = (env.optional(&gamma), env.optional(&beta));
            let call = LayerNormCall { x: env.get(&x), gamma, beta, features, epsilon, form };
            match reference {
                true => narrow(&layer_norm::reference::forward::<f32, f64>(call), out),
                false => layer_norm::forward(env.cpu, call, out),
            }
            Ok(())
        })
    }
}
