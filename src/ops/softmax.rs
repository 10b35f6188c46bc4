//! Softmax over one axis.

use std::borrow::Cow;

use crate::graph::{Cost, OpError, Operator, Slots, TensorType, elements};

/// `exp(x) / sum(exp(x))` over one axis, or its logarithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// The axis that is summed over.
    pub axis: usize,
    /// Whether the logarithm is given.
    pub log: bool,
}

impl Operator for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.float(0)?;
        match self.axis < x.rank() {
            true => Ok(vec![x.clone()]),
            false => Err(inputs.shape_error(0, format!("at least {} dimensions", self.axis + 1))),
        }
    }

    fn cost(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let written: u64 = outputs.iter().map(elements).sum();
        Cost { flops: 20 * written, bytes: 8 * written }
    }
}
