//! Running sums.

use std::borrow::Cow;

use super::Reverse;
use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType};

/// Sums the elements of `x` up to and with each position of an axis.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cumsum {
    /// The axis.
    pub axis: usize,
}

impl Operator for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.typed(
            0,
            &[DType::F32, DType::F64, DType::I32, DType::I64, DType::U64],
            "f32, f64, i32, i64 or u64",
        )?;
        match self.axis < x.rank() {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1))),
        }
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let turned = adjoint.add(Reverse { axis: self.axis }, &[dy])?;
        let sums = adjoint.add(self.clone(), &[turned])?;
        let dx = adjoint.add(Reverse { axis: self.axis }, &[sums])?;
        adjoint.give(0, dx);
        Ok(())
    }
}
