//! A tensor without its margins.

use std::borrow::Cow;

use super::Pad;
use crate::graph::{Adjoint, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// Takes elements off the ends of `x` along its axes; something is left of each.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Crop {
    /// How many elements in front, one entry an axis.
    pub before: Vec<usize>,
    /// How many behind.
    pub after: Vec<usize>,
}

impl Operator for Crop {
    fn name(&self) -> &'static str {
        "crop"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("before", format!("{:?}", self.before)), ("after", format!("{:?}", self.after))]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.get(0)?;
        super::pad::check_margins(x, &self.before, &self.after)?;
        let mut dims = x.dims.clone();
        for (axis, dim) in dims.iter_mut().enumerate() {
            let less = self.before[axis].saturating_add(self.after[axis]);
            if less > 0 && dim.known().is_some_and(|size| size <= less) {
                let expected = format!("more than {less} elements along axis {axis}");
                return Err(inputs.shape_error(0, expected));
            }
            *dim = dim.clone() - Dim::Known(less);
        }
        Ok(vec![TensorType::new(x.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let dx =
            adjoint.add(Pad { before: self.before.clone(), after: self.after.clone() }, &[dy])?;
        adjoint.give(0, dx);
        Ok(())
    }
}
