//! Classes as rows with a single one.

use bytemuck::{AnyBitPattern, NoUninit};
use seqfuse_kernels::layout::{self, OneHotCall};

use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::OneHot;
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for OneHot {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (classes, y) = (lowering.input(0)?, lowering.result()?);
        let inner: usize = classes.shape[self.axis..].iter().product();
        let (depth, dtype) = (self.depth, self.dtype);
        call(y, move |env, out| {
            match dtype {
                DType::I32 => fill(env, &classes, [0_i32, 1], depth, inner, out, y),
                DType::I64 => fill(env, &classes, [0_i64, 1], depth, inner, out, y),
                DType::Bool => fill(env, &classes, [0_u8, 1], depth, inner, out, y),
                _ => fill(env, &classes, [0.0_f32, 1.0], depth, inner, out, y),
            }
            Ok(())
        })
    }
}

fn fill<T: AnyBitPattern + NoUninit>(
    env: &Env<'_>,
    classes: &Operand,
    [off, on]: [T; 2],
    depth: usize,
    inner: usize,
    out: &mut Buffer,
    y: Target,
) {
    let out = out.get_mut::<T>(y.len);
    match classes.ty.dtype {
        DType::I64 => {
            let classes = env.get::<i64>(classes);
            layout::one_hot(OneHotCall { classes, depth, inner, on, off }, out);
        }
        _ => {
            let classes = env.get::<i32>(classes);
            layout::one_hot(OneHotCall { classes, depth, inner, on, off }, out);
        }
    }
}
