//! A tensor repeated to the shape of a larger one.

use std::borrow::Cow;

use super::SumTo;
use super::binary::broadcast;
use crate::graph::{Adjoint, GraphError, OpError, Operator, Slots, TensorType};

/// Repeats `x` along new leading axes and axes of size 1, to the shape of `like`, whose elements do
/// not matter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Expand;

impl Operator for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "like" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let (x, like) = (inputs.get(0)?, inputs.get(1)?);
        let target = TensorType::new(x.dtype, &like.dims[..]);
        let fits = broadcast(&x.dims, &like.dims)
            .is_some_and(|dims| TensorType::new(x.dtype, dims).accepts(&target));
        match fits {
            true => Ok(vec![target]),
            false => Err(inputs.shape_error(0, format!("a shape that broadcasts to {target}"))),
        }
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        if let Some(gradient) = adjoint.gradient(0) {
            let x = adjoint.input(0)?;
            let gradient = adjoint.add(SumTo, &[gradient, x])?;
            adjoint.give(0, gradient);
        }
        Ok(())
    }
}
