//! One of two tensors, element by element.

use std::borrow::Cow;

use super::binary::broadcast;
use super::sum_to::sum_to;
use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, Tensor, TensorType};

/// Takes `on_true` where `condition` holds, else `on_false`; the three broadcast as NumPy's do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Select;

impl Operator for Select {
    fn name(&self) -> &'static str {
        "select"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["condition", "on_true", "on_false"].get(index).unwrap_or(&"surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let condition = inputs.typed(0, &[DType::Bool], "bool")?;
        let a = inputs.get(1)?;
        let b = inputs.get(2)?;
        if a.dtype != b.dtype {
            return Err(inputs.shape_error(2, format!("{} as `on_true` is", a.dtype)));
        }
        let dims = broadcast(&condition.dims, &a.dims)
            .ok_or_else(|| inputs.shape_error(1, format!("what broadcasts with {condition}")))?;
        let dims = broadcast(&dims, &b.dims).ok_or_else(|| {
            inputs.shape_error(2, format!("what broadcasts with {condition} and {a}"))
        })?;
        Ok(vec![TensorType::new(a.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let condition = adjoint.input(0)?;
        let zero = adjoint.constant(Tensor::scalar(0.0f32));
        for slot in [1, 2] {
            if adjoint.wants(slot) {
                let sides = if slot == 1 { [condition, dy, zero] } else { [condition, zero, dy] };
                let (part, like) = (adjoint.add(Select, &sides)?, adjoint.input(slot)?);
                let part = sum_to(adjoint, part, like)?;
                adjoint.give(slot, part);
            }
        }
        Ok(())
    }
}
