//! Pooling over the whole of time.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType};

/// What becomes of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The largest of each feature.
    Max,
    /// The mean of each feature over the steps that are not masked; without any, NaN.
    Average,
}

/// Pools `x` `[batch, time, features]` to `[batch, features]`; `mask` `[batch, time]` may be empty
/// and serves the average alone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (x, y) = (adjoint.input(0)?, adjoint.output(0));
        let y = (self.kind == PoolKind::Max).then_some(y);
        let inputs = vec![Some(x), y, Some(dy), adjoint.optional(1)];
        let dx = adjoint.add_node(GlobalPoolGradient { kind: self.kind }, inputs)?[0];
        adjoint.give(0, dx);
        Ok(())
    }
}

/// The gradient of a [`GlobalPool`] from `x`, the result `y` (of a maximum), its gradient `dy` and
/// the `mask` (of an average). Equal largest steps share the gradient evenly, as in TensorFlow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalPoolGradient {
    /// What became of the steps.
    pub kind: PoolKind,
}

impl Operator for GlobalPoolGradient {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "global_max_pool_gradient",
            PoolKind::Average => "global_average_pool_gradient",
        }
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "y", "dy", "mask"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(4)?;
        let (x, dy) = (inputs.ranked(0, 3)?, inputs.float(2)?);
        let y = TensorType::new(DType::F32, [x.dims[0].clone(), x.dims[2].clone()]);
        if self.kind == PoolKind::Max {
            inputs.float(1)?;
        }
        inputs.check(1, &y)?;
        inputs.check(3, &TensorType::new(DType::Bool, &x.dims[..2]))?;
        match y.accepts(dy) {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(2, y.to_string())),
        }
    }
}
