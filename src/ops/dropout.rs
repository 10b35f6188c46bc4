//! Dropout, which acts in training alone.

use std::borrow::Cow;

use crate::graph::{OpError, Operator, Slots, TensorType};

/// Zeros elements of `x` at random in training; in inference a pass takes it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The share of elements that become zero.
    pub rate: f32,
}

impl Operator for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("rate", self.rate.to_string())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        Ok(vec![inputs.float(0)?.clone()])
    }

    fn is_view(&self) -> bool {
        true
    }
}
