//! Activations on their own.

use seqfuse_kernels::Cpu;

use super::lowering::{CpuOp, Kernel, Lowering, Target, Weights, call, call_many};
use crate::graph::elements;
use crate::ops::{Activate, ActivateGradient, Activation};
use crate::plan::{NodeShapes, Operand};
use crate::runtime::RunError;

/// Elements of one block of an elementwise activation.
const BLOCK: usize = 4096;

impl CpuOp for Activate {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        match (self.activation, node.inputs.first()) {
            (Activation::Glu, Some(Some(x))) => 4 * elements(x) as usize,
            _ => 0,
        }
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        let width = x.shape.last().copied().unwrap_or(1);
        let activation = self.activation;
        if activation == Activation::Glu {
            return gated(x, y, lowering.workspace(), width);
        }
        call(y, move |env, out| {
            let out = out.get_mut::<f32>(y.len);
            out.copy_from_slice(env.get(&x));
            apply(env.cpu, activation, out, width);
            Ok(())
        })
    }
}

/// GLU, whose rows are half as wide as the input's.
fn gated(
    x: Operand,
    y: Target,
    room: Option<Target>,
    width: usize,
) -> Result<Box<dyn Kernel>, RunError> {
    call_many([Some(y), room], move |env, [out, scratch]| {
        let scratch = scratch.get_mut::<f32>(room.map_or(0, |room| room.len));
        scratch.copy_from_slice(env.get(&x));
        apply(env.cpu, Activation::Glu, scratch, width);
        let halves = out.get_mut::<f32>(y.len).chunks_exact_mut((width / 2).max(1));
        for (out, row) in halves.zip(scratch.chunks_exact(width.max(1))) {
            out.copy_from_slice(&row[..width / 2]);
        }
        Ok(())
    })
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

impl CpuOp for ActivateGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.optional(0), lowering.input(1)?);
        let (dy, dx, activation) = (lowering.input(2)?, lowering.result()?, self.activation);
        let kept = match (activation.needs_input(), &x) {
            (true, Some(x)) => x.clone(),
            (true, None) => return Err(lowering.refuse("its argument is missing".to_owned())),
            (false, _) => y.clone(),
        };
        let width = kept.shape.last().copied().unwrap_or(1);
        let out_width = activation.output_width(width);
        call(dx, move |env, out| {
            let out = out.get_mut::<f32>(dx.len);
            if out.is_empty() || out_width == 0 {
                return Ok(());
            }
            let (kept, dy) = (env.get::<f32>(&kept), env.get::<f32>(&dy));
            let (width, out_width) =
                if activation.is_elementwise() { (1, 1) } else { (width, out_width) };
            let (rows, cpu) = ((BLOCK / width).max(1), env.cpu);
            cpu.pool.for_each_chunk(out, rows * width, &|index, dx| {
                let kept = &kept[index * rows * width..][..dx.len()];
                let dy = &dy[index * rows * out_width..][..dx.len() / width * out_width];
                let x = activation.needs_input().then_some(kept);
                let y = if x.is_some() { &[][..] } else { kept };
                activation.backward_rows(cpu.isa, x, y, dy, dx, width);
            });
            Ok(())
        })
    }
}
