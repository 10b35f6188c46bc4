//! The sum of a tensor over the axes along which a smaller one is repeated.

use std::borrow::Cow;

use super::Expand;
use super::binary::broadcast;
use crate::graph::{Adjoint, GraphError, OpError, Operator, Slots, TensorType, ValueId};

/// Sums `x` to the shape of `like`, which broadcasts to its own: leading axes that `like` lacks go,
/// those that are 1 there become 1. It undoes a broadcast for a gradient; the elements of `like`
/// do not matter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SumTo;

impl Operator for SumTo {
    fn name(&self) -> &'static str {
        "sum_to"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "like" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let (x, like) = (inputs.float(0)?, inputs.get(1)?);
        let fits = broadcast(&like.dims, &x.dims)
            .is_some_and(|dims| TensorType::new(x.dtype, dims).accepts(x));
        match fits {
            true => Ok(vec![TensorType::new(x.dtype, &like.dims[..])]),
            false => Err(inputs.shape_error(0, format!("a shape that {like} broadcasts to"))),
        }
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        if let Some(gradient) = adjoint.gradient(0) {
            let x = adjoint.input(0)?;
            let gradient = adjoint.add(Expand, &[gradient, x])?;
            adjoint.give(0, gradient);
        }
        Ok(())
    }
}

/// `gradient` summed to the shape of `like`, where that was broadcast.
///
/// # Errors
/// If the one does not broadcast to the other.
pub(super) fn sum_to(
    adjoint: &mut Adjoint<'_>,
    gradient: ValueId,
    like: ValueId,
) -> Result<ValueId, GraphError> {
    match adjoint.ty(like).dims == adjoint.ty(gradient).dims {
        true => Ok(gradient),
        false => adjoint.add(SumTo, &[gradient, like]),
    }
}
