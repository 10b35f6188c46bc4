//! The fully connected layer.

use seqfuse_kernels::matmul::{self, Size};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::ops::{Activation, Dense};
use crate::runtime::RunError;

impl CpuOp for Dense {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, kernel, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let bias = lowering.optional(2);
        let (ins, outs) = kernel.shape.split_at(self.contract);
        let (depth, columns) = (ins.iter().product(), outs.iter().product());
        let rows = x.shape[..x.shape.len() - self.contract].iter().product();
        let (size, activation) = (Size { rows, depth, columns }, self.activation);
        // An activation over rows sees the last axis, which is all columns only with one output axis.
        let width = outs.last().copied().unwrap_or(1);
        let fused = activation.is_elementwise() || width == columns;
        let inside = if fused { activation } else { Activation::Linear };
        let reference = lowering.reference;
        call(y, move |env, out| {
            let (x, kernel, bias) = (env.get(&x), env.get(&kernel), env.optional(&bias));
            let out = out.get_mut::<f32>(y.len);
            match reference {
                true => {
                    let y = matmul::reference::matmul(size, x, kernel, bias, inside);
                    out.copy_from_slice(&y);
                }
                false => matmul::matmul(env.cpu, size, x, kernel, bias, inside, out),
            }
            if !fused {
                super::activate::apply(env.cpu, activation, out, width);
            }
            Ok(())
        })
    }
}
