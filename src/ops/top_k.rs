//! The largest or smallest elements of an axis.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// The `count` largest (or smallest) elements of `x` along an axis, best first, and their positions as
/// `i64`; of equal ones that in front comes first, and NaN is above all others.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TopK {
    /// How many; at most the size of the axis.
    pub count: Dim,
    /// The axis.
    pub axis: usize,
    /// Whether the largest are meant, not the smallest.
    pub largest: bool,
}

impl Operator for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("count", self.count.to_string()),
            ("axis", self.axis.to_string()),
            ("largest", self.largest.to_string()),
        ]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.typed(0, &[DType::F32, DType::I32, DType::I64], "a number")?;
        let Some(size) = x.dims.get(self.axis) else {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1)));
        };
        if let (Some(size), Some(count)) = (size.known(), self.count.known())
            && count > size
        {
            let expected = format!("at least {count} elements along axis {}", self.axis);
            return Err(inputs.shape_error(0, expected));
        }
        let mut dims = x.dims.clone();
        dims[self.axis] = self.count.clone();
        Ok(vec![TensorType::new(x.dtype, dims.clone()), TensorType::new(DType::I64, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (x, positions) = (adjoint.input(0)?, adjoint.output(1));
        let gradient = super::TakeAlongAxisGradient { axis: self.axis };
        let dx = adjoint.add(gradient, &[x, positions, dy])?;
        adjoint.give(0, dx);
        Ok(())
    }
}
