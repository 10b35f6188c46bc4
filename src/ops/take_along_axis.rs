//! Elements of an axis by a position for each.

use std::borrow::Cow;

use crate::graph::{DType, OpError, Operator, Slots, TensorType};

/// Gathers along an axis of `x` by `indices`, which have the sizes of `x` elsewhere: the result has
/// the shape of `indices`. Negative positions count from the end; one outside the axis is an error
/// of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        use DType::{Bool, F32, I32, I64};
        inputs.at_most(2)?;
        let x = inputs.typed(0, &[F32, I32, I64, Bool], "not text")?;
        let indices = inputs.typed(1, &[I32, I64], "an integer")?;
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
}
