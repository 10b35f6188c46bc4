//! An activation on its own.

use std::borrow::Cow;

use super::Activation;
use crate::graph::{OpError, Operator, Slots, TensorType};

/// Applies an activation to `x`; one that works on rows sees the last axis, which GLU halves.
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
