//! Softmax over one axis.

use std::borrow::Cow;

use crate::graph::{Adjoint, Cost, GraphError, OpError, Operator, Slots, TensorType, elements};

/// `exp(x) / sum(exp(x))` over one axis, or its logarithm.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let y = adjoint.output(0);
        let dx = adjoint.add(SoftmaxGradient { axis: self.axis, log: self.log }, &[y, dy])?;
        adjoint.give(0, dx);
        Ok(())
    }

    fn cost(&self, _: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let written: u64 = outputs.iter().map(elements).sum();
        Cost { flops: 20 * written, bytes: 8 * written }
    }
}

/// The gradient of a [`Softmax`] from its result `y` and that one's gradient `dy`:
/// `y * (dy - sum(dy * y))`, or, for the logarithm, `dy - exp(y) * sum(dy)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoftmaxGradient {
    /// The axis that is summed over.
    pub axis: usize,
    /// Whether `y` is the logarithm.
    pub log: bool,
}

impl Operator for SoftmaxGradient {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax_gradient" } else { "softmax_gradient" }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "y" } else { "dy" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let (y, dy) = (inputs.float(0)?, inputs.float(1)?);
        match self.axis < y.rank() && y.accepts(dy) {
            true => Ok(vec![y.clone()]),
            false => Err(inputs.shape_error(1, y.to_string())),
        }
    }
}
