//! The opposite order along an axis.

use std::borrow::Cow;

use crate::graph::{Adjoint, GraphError, OpError, Operator, Slots, TensorType};

/// Turns `x` around along one axis.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reverse {
    /// The axis.
    pub axis: usize,
}

impl Operator for Reverse {
    fn name(&self) -> &'static str {
        "reverse"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.get(0)?;
        match self.axis < x.rank() {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1))),
        }
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let dx = adjoint.add(self.clone(), &[dy])?;
        adjoint.give(0, dx);
        Ok(())
    }
}
