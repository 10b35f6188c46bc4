//! Dropout and other noise, in training.

use seqfuse_kernels::Cpu;
use seqfuse_kernels::random::{self, Noise, NoiseCall, Stream};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::ops::{Dropout, DropoutGradient};
use crate::runtime::RunError;

type Run = fn(Cpu<'_>, NoiseCall<'_>, &[f32], &mut [f32]);

impl CpuOp for Dropout {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        lower(self, lowering, random::forward)
    }
}

impl CpuOp for DropoutGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        lower(&self.0, lowering, random::backward)
    }
}

fn lower(
    dropout: &Dropout,
    lowering: &Lowering<'_>,
    run: Run,
) -> Result<Box<dyn Kernel>, RunError> {
    let (x, step, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
    let Some(node) = dropout.stream else {
        return Err(lowering.refuse("it has no stream of random numbers".to_owned()));
    };
    let mut noise_shape = x.shape.clone();
    dropout.shared.iter().for_each(|&axis| noise_shape[axis] = 1);
    let noise: Noise = dropout.noise;
    call(y, move |env, out| {
        let &[seed, step] = env.get::<i64>(&step) else { return Ok(()) };
        let stream = Stream { seed: seed as u64, step: step as u64, node };
        let call = NoiseCall { stream, noise, shape: &x.shape, noise_shape: &noise_shape };
        run(env.cpu, call, env.get(&x), out.get_mut::<f32>(y.len));
        Ok(())
    })
}
