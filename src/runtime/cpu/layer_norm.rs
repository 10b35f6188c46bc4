//! Layer normalization.

use seqfuse_kernels::layer_norm::{self, LayerNormCall, LayerNormGradients};

use super::lowering::{
    CpuOp, Kernel, Lowering, Weights, call, call_many, elements_of, narrow, shape_of,
};
use crate::ops::{LayerNorm, LayerNormGradient};
use crate::plan::NodeShapes;
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

impl LayerNormGradient {
    fn features(&self, x: &[usize]) -> usize {
        x[x.len().saturating_sub(self.0.axes)..].iter().product()
    }
}

impl CpuOp for LayerNormGradient {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        shape_of(node, 0).map_or(0, |x| {
            let features = self.features(&x);
            let rows = x[..x.len().saturating_sub(self.0.axes)].iter().product();
            4 * layer_norm::workspace_len(rows, features)
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, gamma, dy) = (lowering.input(0)?, lowering.optional(1), lowering.input(2)?);
        let features = self.features(&x.shape);
        let (epsilon, form) = (self.0.epsilon, self.0.form);
        let [dx, dgamma, dbeta] = [0, 1, 2].map(|index| lowering.output(index));
        let targets = [dx, dgamma, dbeta, lowering.workspace()];
        call_many(targets, move |env, [dx, dgamma, dbeta, room]| {
            let gamma = env.optional(&gamma);
            let call = LayerNormCall { x: env.get(&x), gamma, beta: None, features, epsilon, form };
            let gradients = LayerNormGradients {
                dx: elements_of(dx, targets[0]),
                dgamma: elements_of(dgamma, targets[1]),
                dbeta: elements_of(dbeta, targets[2]),
            };
            let room = elements_of(room, targets[3]).unwrap_or_default();
            layer_norm::backward(env.cpu, call, env.get(&dy), gradients, room);
            Ok(())
        })
    }
}
