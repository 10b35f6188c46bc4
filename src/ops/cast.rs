//! Another element type.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType};

/// Converts elements, from every type to every type, as ONNX's `Cast` does where it says how.
///
/// A float is rounded to the nearest of a narrower type; as an integer it loses its fraction and
/// stops at the ends of the range, NaN giving 0. Integers keep their lowest bits. Anything but zero
/// is true, and truth is 1. Text is read as a number, and numbers are written as Python writes them
/// ([`Data::cast`](crate::graph::Data::cast)), on the host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cast {
    /// The type to convert to.
    pub to: DType,
}

impl Operator for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("to", self.to.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.get(0)?;
        Ok(vec![TensorType::new(self.to, x.dims.clone())])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        if self.to != DType::F32 {
            return Err(adjoint.refuse("gradients are of f32 alone"));
        }
        // An integer has no gradient, and is the only other thing that a number is converted from.
        if adjoint.wants(0) {
            adjoint.give(0, dy);
        }
        Ok(())
    }
}
