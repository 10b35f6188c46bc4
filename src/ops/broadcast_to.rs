//! A tensor repeated to given sizes.

use std::borrow::Cow;

use super::SumTo;
use super::binary::broadcast;
use crate::graph::{Adjoint, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// Repeats `x` along new leading axes and axes of size 1, to the sizes `dims`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BroadcastTo {
    /// The sizes of the result, which may name symbols.
    pub dims: Vec<Dim>,
}

impl Operator for BroadcastTo {
    fn name(&self) -> &'static str {
        "broadcast_to"
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.get(0)?;
        let target = TensorType::new(x.dtype, &self.dims[..]);
        let fits = broadcast(&x.dims, &self.dims)
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
