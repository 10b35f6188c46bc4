//! Broadcasts on their own.

use seqfuse_kernels::layout;

use super::layout::{Moved, by_size, check_rank};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::ops::Expand;
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for Expand {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, like, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        check_rank(lowering, &like)?;
        let to = like.shape;
        // Sizes that a run decides are compared here at last.
        let front = to.len().saturating_sub(x.shape.len());
        if x.shape.iter().zip(&to[front..]).any(|(&from, &to)| from != to && from != 1) {
            return Err(lowering.refuse(format!("{:?} does not broadcast to {to:?}", x.shape)));
        }
        call(y, move |env, out| {
            by_size!(x, expand(env, &x, &to, out, y));
            Ok(())
        })
    }
}

fn expand<T: Moved>(env: &Env<'_>, x: &Operand, to: &[usize], out: &mut Buffer, y: Target) {
    layout::broadcast_to(env.cpu, env.get::<T>(x), &x.shape, to, out.get_mut::<T>(y.len));
}
