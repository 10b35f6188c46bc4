//! One of two tensors, element by element.

use seqfuse_kernels::elementwise::{self, Tensor};

use super::layout::{Moved, by_size, check_rank};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::ops::Select;
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for Select {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let operands = [lowering.input(0)?, lowering.input(1)?, lowering.input(2)?];
        for operand in &operands {
            check_rank(lowering, operand)?;
        }
        let y = lowering.result()?;
        call(y, move |env, out| {
            by_size!(operands[1], select(env, &operands, out, y));
            Ok(())
        })
    }
}

fn select<T: Moved>(env: &Env<'_>, operands: &[Operand; 3], out: &mut Buffer, y: Target) {
    let [condition, a, b] = operands;
    let condition = Tensor { values: env.get::<u8>(condition), shape: &condition.shape };
    let a = Tensor { values: env.get::<T>(a), shape: &a.shape };
    let b = Tensor { values: env.get::<T>(b), shape: &b.shape };
    elementwise::select(env.cpu, condition, a, b, out.get_mut::<T>(y.len));
}
