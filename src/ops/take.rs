//! Elements of an axis by their positions.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType};

/// Gathers positions `indices` of an axis of `x`; the axes of `indices` stand in its place.
/// Negative positions count from the end; one outside the axis is an error of the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Take {
    /// The axis.
    pub axis: usize,
}

impl Operator for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "indices" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let x = inputs.get(0)?;
        let indices = inputs.typed(1, &[DType::I32, DType::I64], "an integer")?;
        let Some(behind) = x.dims.get(self.axis + 1..) else {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1)));
        };
        let dims = [&x.dims[..self.axis], &indices.dims, behind].concat();
        Ok(vec![TensorType::new(x.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (x, indices) = (adjoint.input(0)?, adjoint.input(1)?);
        let dx = adjoint.add(TakeGradient { axis: self.axis }, &[x, indices, dy])?;
        adjoint.give(0, dx);
        Ok(())
    }
}

/// The gradient of a [`Take`]: the elements of `dy` added up where `indices` took them from. Of `x`
/// only the shape matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeGradient {
    /// The axis.
    pub axis: usize,
}

impl Operator for TakeGradient {
    fn name(&self) -> &'static str {
        "take_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "indices", "dy"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let (x, dy) = (inputs.float(0)?, inputs.float(2)?);
        let take = Take { axis: self.axis };
        let taken = take.infer(Slots::new(&take, &[Some(x), inputs.optional(1)]))?;
        match taken[0].accepts(dy) {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(2, taken[0].to_string())),
        }
    }
}
