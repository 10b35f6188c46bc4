//! Numbers at equal distances.

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::graph::DType;
use crate::ops::Arange;
use crate::runtime::RunError;

impl CpuOp for Arange {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (start, delta, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        macro_rules! fill {
            ($element:ty, $at:expr) => {
                call(y, move |env, out| {
                    let first = env.get::<$element>(&start).first().copied();
                    let step = env.get::<$element>(&delta).first().copied();
                    if let (Some(first), Some(step)) = (first, step) {
                        let out = out.get_mut::<$element>(y.len);
                        let at: fn($element, $element, usize) -> $element = $at;
                        out.iter_mut().enumerate().for_each(|(i, x)| *x = at(first, step, i));
                    }
                    Ok(())
                })
            };
        }
        match start.ty.dtype {
            DType::I32 => fill!(i32, |a, d, i| a.wrapping_add(d.wrapping_mul(i as i32))),
            DType::I64 => fill!(i64, |a, d, i| a.wrapping_add(d.wrapping_mul(i as i64))),
            _ => fill!(f32, |a, d, i| a + d * i as f32),
        }
    }
}
