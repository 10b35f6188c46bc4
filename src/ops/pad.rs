//! Zeros around a tensor.

use std::borrow::Cow;

use super::Crop;
use crate::graph::{Adjoint, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// Puts elements in front of and behind `x` along its axes: the scalar `value`, or zeros (`false`) without
/// one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pad {
    /// How many elements in front, one entry an axis.
    pub before: Vec<usize>,
    /// How many behind.
    pub after: Vec<usize>,
}

impl Operator for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("before", format!("{:?}", self.before)), ("after", format!("{:?}", self.after))]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "x" } else { "value" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let x = inputs.get(0)?;
        inputs.check(1, &TensorType::known(x.dtype, &[]))?;
        check_margins(x, &self.before, &self.after)?;
        let sizes = self.before.iter().zip(&self.after).map(|(a, b)| a.saturating_add(*b));
        let dims: Vec<Dim> =
            x.dims.iter().zip(sizes).map(|(dim, more)| dim.clone() + Dim::Known(more)).collect();
        Ok(vec![TensorType::new(x.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        if adjoint.wants(1) {
            return Err(adjoint.refuse("what is padded with has no derivative rule"));
        }
        let dx =
            adjoint.add(Crop { before: self.before.clone(), after: self.after.clone() }, &[dy])?;
        adjoint.give(0, dx);
        Ok(())
    }
}

/// Refuses margins of more or fewer axes than `x` has.
pub(super) fn check_margins(
    x: &TensorType,
    before: &[usize],
    after: &[usize],
) -> Result<(), OpError> {
    for (attribute, sizes) in [("before", before), ("after", after)] {
        if sizes.len() != x.rank() {
            let (value, expected) = (format!("{sizes:?}"), format!("{} sizes", x.rank()));
            return Err(OpError::Attribute { attribute, value, expected });
        }
    }
    Ok(())
}
