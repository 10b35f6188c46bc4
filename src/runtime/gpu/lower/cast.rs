//! Another element type.

use super::lowering::GpuOp;
use super::pointwise::Expression;
use crate::graph::DType::{self, Bool, F32, I32, I64};
use crate::ops::Cast;
#[cfg(test)]
use crate::runtime::gpu::Shader;

impl GpuOp for Cast {
    fn expression(&self, inputs: &[Option<DType>], to: DType) -> Option<Expression> {
        let from = inputs.first().copied().flatten()?;
        Some(match (from, to) {
            (F32, F32) | (Bool, Bool) | (I32 | I64, I32 | I64) => Expression::new("{0}"),
            (F32, I32) => Expression::new("integer_of({0})"),
            // An i64 is 32 bits wide here.
            (F32, I64) => Expression::new("integer_of({0})").failing("beyond_integer({0})"),
            // NaN is true.
            (F32, Bool) => Expression::new("(bits({0}) & 0x7fffffffu) != 0u"),
            (I32 | I64, F32) => Expression::new("f32({0})"),
            (I32 | I64, Bool) => Expression::new("{0} != 0i"),
            (Bool, F32) => Expression::new("select(0.0, 1.0, {0})"),
            (Bool, I32 | I64) => Expression::new("select(0i, 1i, {0})"),
            _ => return None,
        })
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        let of = |to| super::body::samples(&Cast { to }, 1, Some(to));
        [F32, I32, I64, Bool].into_iter().flat_map(of).collect()
    }
}
