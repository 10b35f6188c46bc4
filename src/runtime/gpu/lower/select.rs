//! The choice between two tensors.

use super::lowering::GpuOp;
use super::pointwise::Expression;
use crate::graph::DType;
use crate::ops::Select;
#[cfg(test)]
use crate::runtime::gpu::Shader;

impl GpuOp for Select {
    fn expression(&self, _: &[Option<DType>], _: DType) -> Option<Expression> {
        Some(Expression::new("select({2}, {1}, {0})"))
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        let of = |dtype| {
            let expression = Expression::new("select({2}, {1}, {0})");
            super::body::sample(&expression, &[DType::Bool, dtype, dtype], dtype)
        };
        [DType::F32, DType::I32, DType::I64, DType::Bool].map(of).into()
    }
}
