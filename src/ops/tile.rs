//! A tensor several times over.

use std::borrow::Cow;

use crate::graph::{DType, Dim, OpError, Operator, Slots, TensorType};

/// Repeats `x` as a whole along its axes.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        use DType::{Bool, F32, I32, I64};
        inputs.at_most(1)?;
        let x = inputs.typed(0, &[F32, I32, I64, Bool], "not text")?;
        if self.repeats.len() != x.rank() {
            return Err(inputs.shape_error(0, format!("{} dimensions", self.repeats.len())));
        }
        let pairs = x.dims.iter().zip(&self.repeats);
        let dims: Vec<Dim> = pairs.map(|(dim, &n)| dim.clone() * Dim::Known(n)).collect();
        Ok(vec![TensorType::new(x.dtype, dims)])
    }
}
