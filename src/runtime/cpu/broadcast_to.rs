//! Broadcasts to given sizes.

use seqfuse_kernels::layout;

use super::layout::{Moved, by_size, check_rank};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::ops::BroadcastTo;
use crate::plan::{Operand, PlanError};
use crate::runtime::RunError;

impl CpuOp for BroadcastTo {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        let to = self.dims.iter().map(|dim| dim.eval(lowering.bindings));
        let to: Vec<usize> = to.collect::<Result<_, _>>().map_err(PlanError::from)?;
        if to.len() > layout::MAX_RANK {
            let reason = format!("at most {} dimensions are possible", layout::MAX_RANK);
            return Err(lowering.refuse(reason));
        }
        check_rank(lowering, &x)?;
        // Sizes that a run decides are compared here at last.
        let front = to.len().saturating_sub(x.shape.len());
        if x.shape.iter().zip(&to[front..]).any(|(&from, &to)| from != to && from != 1) {
            return Err(lowering.refuse(format!("{:?} does not broadcast to {to:?}", x.shape)));
        }
        call(y, move |env, out| {
            by_size!(x, broadcast_to(env, &x, &to, out, y));
            Ok(())
        })
    }
}

fn broadcast_to<T: Moved>(env: &Env<'_>, x: &Operand, to: &[usize], out: &mut Buffer, y: Target) {
    layout::broadcast_to(env.cpu, env.get::<T>(x), &x.shape, to, out.get_mut::<T>(y.len));
}
