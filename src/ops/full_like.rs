//! One value throughout, in the shape of another tensor.

use std::borrow::Cow;

use super::SumTo;
use crate::graph::{Adjoint, GraphError, OpError, Operator, Slots, TensorType};

/// A tensor of the shape of `x` that holds the scalar `value` throughout; the elements of `x` do
/// not matter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FullLike;

impl Operator for FullLike {
    fn name(&self) -> &'static str {
        "full_like"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "value" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let x = inputs.get(0)?;
        let value = inputs.get(1)?;
        match value.rank() {
            0 => Ok(vec![TensorType::new(value.dtype, &x.dims[..])]),
            _ => Err(inputs.shape_error(1, "a scalar")),
        }
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        if adjoint.wants(1) {
            let value = adjoint.input(1)?;
            let sum = adjoint.add(SumTo, &[dy, value])?;
            adjoint.give(1, sum);
        }
        Ok(())
    }
}
