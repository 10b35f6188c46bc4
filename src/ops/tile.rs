//! A tensor several times over.

use std::borrow::Cow;

use crate::graph::{Adjoint, Dim, GraphError, OpError, Operator, Slots, TensorType};

/// Repeats `x` as a whole along its axes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tile {
    /// How often, one entry an axis.
    pub repeats: Vec<usize>,
}

impl Operator for Tile {
    fn name(&self) -> &'static str {
        "tile"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("repeats", format!("{:?}", self.repeats))]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.get(0)?;
        if self.repeats.len() != x.rank() {
            return Err(inputs.shape_error(0, format!("{} dimensions", self.repeats.len())));
        }
        let pairs = x.dims.iter().zip(&self.repeats);
        let dims: Vec<Dim> = pairs.map(|(dim, &n)| dim.clone() * Dim::Known(n)).collect();
        Ok(vec![TensorType::new(x.dtype, dims)])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(mut dx) = adjoint.gradient(0) else { return Ok(()) };
        for (axis, &repeats) in self.repeats.iter().enumerate() {
            if repeats != 1 {
                dx = adjoint.add(TileGradient { axis, repeats }, &[dx])?;
            }
        }
        adjoint.give(0, dx);
        Ok(())
    }
}

/// The gradient of a [`Tile`] along one axis: the sum of the `repeats` copies that follow each other
/// along `axis` of `dy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileGradient {
    /// The axis.
    pub axis: usize,
    /// How many copies there are.
    pub repeats: usize,
}

impl Operator for TileGradient {
    fn name(&self) -> &'static str {
        "tile_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string()), ("repeats", self.repeats.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("dy")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let mut ty = inputs.float(0)?.clone();
        let expected = format!("a multiple of {} along axis {}", self.repeats, self.axis);
        let Some(dim) = ty.dims.get_mut(self.axis) else {
            return Err(inputs.shape_error(0, expected));
        };
        if self.repeats == 0 || dim.known().is_some_and(|size| size % self.repeats != 0) {
            return Err(inputs.shape_error(0, expected));
        }
        *dim = dim.div_floor(self.repeats);
        Ok(vec![ty])
    }
}
