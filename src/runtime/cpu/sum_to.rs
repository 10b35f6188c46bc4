//! Broadcasts undone.

use seqfuse_kernels::layout::MAX_RANK;
use seqfuse_kernels::reduce;

use super::lowering::{CpuOp, Kernel, Lowering, Weights, call_many, elements_of, shape_of};
use crate::ops::SumTo;
use crate::plan::NodeShapes;
use crate::runtime::RunError;

/// Whether the kernel knows such shapes.
fn fits(from: &[usize], to: &[usize]) -> bool {
    let front = from.len().checked_sub(to.len());
    let is_repeated = |(&from, &to): (&usize, &usize)| from == to || to == 1;
    front.is_some_and(|front| {
        from.len() <= MAX_RANK && from[front..].iter().zip(to).all(is_repeated)
    })
}

impl CpuOp for SumTo {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        match shape_of(node, 0).zip(shape_of(node, 1)) {
            Some((from, to)) if fits(&from, &to) => 4 * reduce::sum_to_workspace_len(&from, &to),
            _ => 0,
        }
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, to) = (lowering.input(0)?, lowering.input(1)?.shape);
        if !fits(&x.shape, &to) {
            let reason = format!("{:?} cannot be summed to {to:?}", x.shape);
            return Err(lowering.refuse(reason));
        }
        let targets = [Some(lowering.result()?), lowering.workspace()];
        call_many(targets, move |env, [out, room]| {
            let out = elements_of(out, targets[0]).unwrap_or_default();
            let room = elements_of(room, targets[1]).unwrap_or_default();
            reduce::sum_to(env.cpu, env.get(&x), &x.shape, &to, out, room);
            Ok(())
        })
    }
}
