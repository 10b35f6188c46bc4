//! An activation on its own.

use std::borrow::Cow;

use super::Activation;
use crate::graph::{Adjoint, GraphError, OpError, Operator, Slots, TensorType, ValueId};

/// Applies an activation to `x`; one that works on rows sees the last axis, which GLU halves.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
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
        if self.activation == Activation::Glu {
            let Some(last) = ty.dims.last_mut() else {
                return Err(inputs.shape_error(0, "at least 1 dimension"));
            };
            if last.known().is_some_and(|width| width % 2 != 0) {
                return Err(inputs.shape_error(0, "a last dimension that has two halves"));
            }
            *last = last.div_floor(2);
        }
        Ok(vec![ty])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (x, y) = (adjoint.input(0)?, adjoint.output(0));
        let dx = activation_gradient(adjoint, self.activation, Some(x), y, dy)?;
        adjoint.give(0, dx);
        Ok(())
    }
}

/// The gradient of an activation's argument: `x` is the argument, which only some activations look
/// at, `y` the result, `dy` the result's gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivateGradient {
    /// The activation.
    pub activation: Activation,
}

impl Operator for ActivateGradient {
    fn name(&self) -> &'static str {
        "activate_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("activation", self.activation.name().to_owned())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "y", "dy"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let (y, dy) = (inputs.float(1)?, inputs.float(2)?);
        if self.activation.needs_input() {
            inputs.float(0)?;
        }
        if !y.accepts(dy) {
            return Err(inputs.shape_error(2, y.to_string()));
        }
        Ok(vec![inputs.optional(0).unwrap_or(y).clone()])
    }
}

/// Adds the node that gives the gradient of an activation's argument; none for the linear one.
///
/// # Errors
/// If the activation needs its argument, and it is not there.
pub(super) fn activation_gradient(
    adjoint: &mut Adjoint<'_>,
    activation: Activation,
    x: Option<ValueId>,
    y: ValueId,
    dy: ValueId,
) -> Result<ValueId, GraphError> {
    if activation == Activation::Linear {
        return Ok(dy);
    }
    let x = x.filter(|_| activation.needs_input());
    let gradient = ActivateGradient { activation };
    Ok(adjoint.add_node(gradient, vec![x, Some(y), Some(dy)])?[0])
}

/// The error of an operator that fuses activations and cannot fuse GLU, which changes the shape.
pub(super) fn refuse_glu(activation: Activation) -> Result<(), OpError> {
    match activation {
        Activation::Glu => Err(OpError::Attribute {
            attribute: "activation",
            value: "glu".to_owned(),
            expected: "an activation that keeps the shape; GLU is a node of its own".to_owned(),
        }),
        _ => Ok(()),
    }
}
