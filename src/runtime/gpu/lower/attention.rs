//! Attention: one call for all heads.

use seqfuse_kernels::wgsl;

use super::lowering::{GpuOp, Lowering};
use super::view;
use crate::graph::{Graph, Node};
use crate::ops::{Attention, MaskedRow};
use crate::runtime::RunError;
use crate::runtime::gpu::recorder::NONE;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

/// Queries of a workgroup (`QUERIES` of the kernel).
const QUERIES: usize = 8;
/// Threads of a workgroup (`THREADS` of the kernel).
const THREADS: usize = 128;
/// The value's columns of a workgroup at most.
const COLUMNS: usize = 256;

impl GpuOp for Attention {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        [1, 16, 17, 64, 100, COLUMNS].map(shader).into()
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let operands = [lowering.input(0)?, lowering.input(1)?, lowering.input(2)?];
        let shapes = operands.map(|operand| &operand.shape[..]);
        let [&[batch, queries, heads, dim], &[_, keys, key_heads, _], &[.., value_dim]] = shapes
        else {
            return Err(lowering.refuse("its inputs do not have four dimensions".to_owned()));
        };
        let [output, scores] = [lowering.output(0), lowering.output(1)];
        let (tiles, block) = (queries.div_ceil(QUERIES), value_dim.clamp(1, COLUMNS));
        let blocks = value_dim.div_ceil(block).max(1);
        let groups = lowering.size(batch * heads * tiles * blocks)?;
        let mut call = Dispatch::new(shader(block), Parameters::new(), groups.into());
        let mut parameters = Parameters::new().word(groups);
        let sharing = heads.checked_div(key_heads).unwrap_or(1);
        let sizes =
            [queries, keys, heads, sharing, dim, value_dim, tiles, blocks, block].into_iter();
        for size in sizes {
            parameters = parameters.word(lowering.size(size)?);
        }
        for (slot, operand) in operands.into_iter().enumerate() {
            let offset = lowering.arena(slot)?;
            parameters = parameters.word(offset);
            call = call.touching(offset, operand.len as u64);
        }
        let (mask, strides) = self.mask(lowering, &mut call)?;
        parameters = parameters.word(mask);
        let lens = [batch * queries * heads * value_dim, batch * heads * queries * keys];
        for (target, len) in [output, scores].into_iter().zip(lens) {
            parameters = parameters.word(target.unwrap_or(NONE));
            lowering.size(len)?;
            call.regions.extend(target.map(|offset| (offset, len as u64)));
        }
        // A window as wide as the sequences leaves nothing out.
        let window = self.sliding_window.filter(|window| *window < queries.max(keys));
        call.parameters = parameters
            .float(self.scale)
            .word(self.causal.into())
            .word(window.map_or(NONE, |window| window as u32))
            .word(masked_row(self.masked_row))
            .aligned(strides);
        let reach = window.map_or(keys, |window| keys.min(2 * window + QUERIES));
        lowering.dispatch(call.rounds(rounds(keys, reach, dim, block)))
    }
}

/// How many rounds the loops of a thread make, the one that ends a loop among them, over tiles of 32
/// keys and chunks of 32 features.
fn rounds(keys: usize, reach: usize, dim: usize, block: usize) -> u64 {
    let elements = elements(block);
    let products = dim.div_ceil(32) * (1 + (2 + 1) + (8 + 1) + (32 + 1)) + 1;
    let tile = 1 + products + (16 + 1) + (32 + 1) + elements * (1 + 32 + 1) + 1;
    // A query without keys gets the mean of all values.
    let end = elements * (1 + keys + 1) + keys.div_ceil(16) + 3;
    (reach.div_ceil(32) * tile + end) as u64
}

/// Elements of the output that fall to a thread.
fn elements(block: usize) -> usize {
    (QUERIES * block).div_ceil(THREADS).next_power_of_two()
}

impl Attention {
    /// Where the mask lies, and its strides over batch, heads, queries and keys.
    fn mask(
        &self,
        lowering: &mut Lowering<'_>,
        call: &mut Dispatch,
    ) -> Result<(u32, [u32; 4]), RunError> {
        let Some(mask) = lowering.optional(3) else { return Ok((NONE, [0; 4])) };
        let (mut strides, mut stride) = ([0; 4], 1);
        for (axis, &size) in mask.shape.iter().enumerate().take(4).rev() {
            strides[axis] = if size == 1 { 0 } else { stride };
            stride = lowering.size(stride as usize * size)?;
        }
        Ok((view::source(lowering, 3, call)?, strides))
    }
}

/// The kernel's number of what a query that may attend to nothing gets.
fn masked_row(row: MaskedRow) -> u32 {
    match row {
        MaskedRow::Uniform => 0,
        MaskedRow::Zero => 1,
        MaskedRow::Nan => 2,
        MaskedRow::Lowered => 3,
    }
}

fn shader(block: usize) -> Shader {
    let elements = elements(block);
    Shader::new("attention", &[&format!("const ACC: u32 = {elements}u;\n"), wgsl::ATTENTION])
}
