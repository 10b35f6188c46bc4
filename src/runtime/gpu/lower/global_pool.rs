//! Pooling over the whole of time.

use seqfuse_kernels::wgsl;

use super::lowering::{GpuOp, Lowering};
use super::view;
use crate::graph::{Graph, Node};
use crate::ops::{GlobalPool, PoolKind};
use crate::runtime::RunError;
use crate::runtime::gpu::recorder::NONE;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

/// Features of a workgroup (`LANES` of the kernel).
const LANES: usize = 32;
/// Slices of time (`SLICES` of the kernel).
const SLICES: usize = 8;

impl GpuOp for GlobalPool {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input, (output, y)) = (lowering.input(0)?, lowering.arena(0)?, lowering.result()?);
        let &[batch, time, features] = &x.shape[..] else {
            return Err(lowering.refuse("its input does not have three dimensions".to_owned()));
        };
        let blocks = features.div_ceil(LANES);
        let groups = lowering.size(batch * blocks)?;
        let mut call = Dispatch::new(shader(), Parameters::new(), groups.into())
            .rounds((time.div_ceil(SLICES) + SLICES + 2) as u64)
            .touching(input, x.len as u64)
            .touching(output, y.len as u64);
        call.constants.push(("AVERAGE", (self.kind == PoolKind::Average).into()));
        let mask = match lowering.optional(1) {
            Some(_) => view::source(lowering, 1, &mut call)?,
            None => NONE,
        };
        lowering.size(x.len)?;
        call.parameters = Parameters::new()
            .word(groups)
            .word(lowering.size(time)?)
            .word(lowering.size(features)?)
            .word(lowering.size(blocks)?)
            .word(input)
            .word(mask)
            .word(output);
        lowering.dispatch(call)
    }
}

fn shader() -> Shader {
    Shader::new("global_pool", &[wgsl::ELEMENTWISE, wgsl::GLOBAL_POOL])
}
