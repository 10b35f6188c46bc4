//! Pooling over the whole of time.

use std::borrow::Cow;

use crate::graph::{DType, OpError, Operator, Slots, TensorType};

/// What becomes of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// The largest of each feature.
    Max,
    /// The mean of each feature over the steps that are not masked; without any, NaN.
    Average,
}

/// Pools `x` `[batch, time, features]` to `[batch, features]`; `mask` `[batch, time]` may be empty
/// and serves the average alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalPool {
    /// What becomes of the steps.
    pub kind: PoolKind,
}

impl Operator for GlobalPool {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "global_max_pool",
            PoolKind::Average => "global_average_pool",
        }
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "mask" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(if self.kind == PoolKind::Average { 2 } else { 1 })?;
        let x = inputs.ranked(0, 3)?;
        inputs.check(1, &TensorType::new(DType::Bool, &x.dims[..2]))?;
        Ok(vec![TensorType::new(DType::F32, [x.dims[0].clone(), x.dims[2].clone()])])
    }
}
