//! One value throughout.

use super::layout::{Moved, by_size};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::ops::FullLike;
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for FullLike {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (value, y) = (lowering.input(1)?, lowering.result()?);
        call(y, move |env, out| {
            by_size!(value, fill(env, &value, out, y));
            Ok(())
        })
    }
}

fn fill<T: Moved>(env: &Env<'_>, value: &Operand, out: &mut Buffer, y: Target) {
    if let Some(&value) = env.get::<T>(value).first() {
        out.get_mut::<T>(y.len).fill(value);
    }
}
