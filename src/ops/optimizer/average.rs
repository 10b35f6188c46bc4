//! The moving average of a variable.

use std::borrow::Cow;

use super::update::scalar;
use crate::graph::{DType, OpError, Operator, Slots, TensorType};

/// `average = momentum * average + (1 - momentum) * variable` of the variable after its update, with
/// momentum 0 where `iteration` is 0: Keras's `use_ema`. Slots: `average`, `variable`, `iteration`
/// (i64 scalar).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoveAverage {
    /// The share that the average keeps of itself.
    pub momentum: f64,
}

impl Operator for MoveAverage {
    fn name(&self) -> &'static str {
        "move_average"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("momentum", self.momentum.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        const NAMES: [&str; 3] = ["average", "variable", "iteration"];
        Cow::Borrowed(NAMES.get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let average = inputs.float(0)?;
        inputs.float(1)?;
        inputs.check(1, average)?;
        scalar(&inputs, 2, DType::I64)?;
        Ok(vec![average.clone()])
    }

    fn in_place(&self, _: usize) -> Option<usize> {
        Some(0)
    }
}
