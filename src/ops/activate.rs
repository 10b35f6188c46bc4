//! An activation on its own.

use std::borrow::Cow;

use super::Activation;
use crate::graph::{Dim, OpError, Operator, Slots, TensorType};

/// Applies an activation to `x`; one that works on rows sees the last axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Activate {
    /// The activation.
    pub activation: Activation,
}

impl Operator for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("activation", self.activation.name().to_owned())]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let mut ty = inputs.float(0)?.clone();
        if let Some(last) = ty.dims.last_mut()
            && let Some(width) = last.known()
        {
            *last = Dim::Known(self.activation.output_width(width));
        }
        Ok(vec![ty])
    }
}
