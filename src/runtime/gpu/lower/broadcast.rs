//! Broadcasts on their own: the identity, read with a stride of 0.

use super::lowering::GpuOp;
use super::pointwise::Expression;
use crate::graph::DType;
use crate::ops::{BroadcastTo, Expand, FullLike};

impl GpuOp for Expand {
    fn expression(&self, _: &[Option<DType>], _: DType) -> Option<Expression> {
        Some(Expression::new("{0}"))
    }
}

impl GpuOp for BroadcastTo {
    fn expression(&self, _: &[Option<DType>], _: DType) -> Option<Expression> {
        Some(Expression::new("{0}"))
    }
}

impl GpuOp for FullLike {
    fn expression(&self, _: &[Option<DType>], _: DType) -> Option<Expression> {
        Some(Expression::new("{1}"))
    }
}
