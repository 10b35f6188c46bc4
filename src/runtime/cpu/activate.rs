//! Activations on their own.

use seqfuse_kernels::Cpu;

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::ops::{Activate, Activation};
use crate::runtime::RunError;

/// Elements of one block of an elementwise activation.
const BLOCK: usize = 4096;

impl CpuOp for Activate {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        let width = x.shape.last().copied().unwrap_or(1);
        let activation = self.activation;
        if activation == Activation::Glu {
            return Err(lowering.refuse("glu halves its rows and has no CPU kernel yet".to_owned()));
        }
        call(y, move |env, out| {
            let out = out.get_mut::<f32>(y.len);
            out.copy_from_slice(env.get(&x));
            apply(env.cpu, activation, out, width);
            Ok(())
        })
    }
}

/// Applies an activation to rows of `width`, in blocks that the number of elements decides.
pub fn apply(cpu: Cpu<'_>, activation: Activation, data: &mut [f32], width: usize) {
    if activation == Activation::Linear || data.is_empty() || width == 0 {
        return;
    }
    if activation.is_elementwise() {
        cpu.pool.for_each_chunk(data, BLOCK, &|_, part| activation.apply(cpu.isa, part));
    } else {
        let rows = (BLOCK / width).max(1);
        cpu.pool.for_each_chunk(data, rows * width, &|_, part| {
            activation.apply_rows(cpu.isa, part, width);
        });
    }
}
