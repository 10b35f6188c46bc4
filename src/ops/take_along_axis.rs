//! Elements of an axis by a position for each.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType};

/// Gathers along an axis of `x` by `indices`, which have the sizes of `x` elsewhere: the result has
/// the shape of `indices`. Negative positions count from the end; one outside the axis is an error
/// of the run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TakeAlongAxis {
    /// The axis.
    pub axis: usize,
}

impl Operator for TakeAlongAxis {
    fn name(&self) -> &'static str {
        "take_along_axis"
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
        if self.axis >= x.rank() {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1)));
        }
        let fits = indices.rank() == x.rank()
            && (indices.dims.iter().zip(&x.dims).enumerate())
                .all(|(axis, (own, dim))| axis == self.axis || own.may_equal(dim));
        if !fits {
            let expected = format!("the sizes of {x} but for axis {}", self.axis);
            return Err(inputs.shape_error(1, expected));
        }
        Ok(vec![TensorType::new(x.dtype, indices.dims.clone())])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (x, indices) = (adjoint.input(0)?, adjoint.input(1)?);
        let dx = adjoint.add(TakeAlongAxisGradient { axis: self.axis }, &[x, indices, dy])?;
        adjoint.give(0, dx);
        Ok(())
    }
}

/// The gradient of a [`TakeAlongAxis`]: the elements of `dy` added up where `indices` took them from. Of `x`
/// only the shape matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeAlongAxisGradient {
    /// The axis.
    pub axis: usize,
}

impl Operator for TakeAlongAxisGradient {
    fn name(&self) -> &'static str {
        "take_along_axis_gradient"
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
        let take = TakeAlongAxis { axis: self.axis };
        let taken = take.infer(Slots::new(&take, &[Some(x), inputs.optional(1)]))?;
        match taken[0].accepts(dy) {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(2, taken[0].to_string())),
        }
    }
}
