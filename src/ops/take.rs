//! Elements of an axis by their positions.

use std::borrow::Cow;

use crate::graph::{DType, OpError, Operator, Slots, TensorType};

/// Gathers positions `indices` of an axis of `x`; the axes of `indices` stand in its place.
/// Negative positions count from the end; one outside the axis is an error of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        use DType::{Bool, F32, I32, I64};
        inputs.at_most(2)?;
        let x = inputs.typed(0, &[F32, I32, I64, Bool], "not text")?;
        let indices = inputs.typed(1, &[I32, I64], "an integer")?;
        let Some(behind) = x.dims.get(self.axis + 1..) else {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1)));
        };
        let dims = [&x.dims[..self.axis], &indices.dims, behind].concat();
        Ok(vec![TensorType::new(x.dtype, dims)])
    }
}
