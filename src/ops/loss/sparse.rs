//! Categorical crossentropy whose targets are the ids of classes.

use std::borrow::Cow;

use crate::graph::{Adjoint, DType, GraphError, OpError, Operator, Slots, TensorType};

/// Categorical crossentropy of each sample: `classes` `[..]` (integers) and `y_pred`
/// `[.., classes]` give `[..]`. A class that the predictions do not have stops the run with an
/// error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseCrossentropy {
    /// Whether the predictions are logits.
    pub from_logits: bool,
    /// An id whose samples have the loss 0 and no gradient.
    pub ignore_class: Option<i64>,
}

impl SparseCrossentropy {
    fn losses(&self, inputs: &Slots<'_>) -> Result<TensorType, OpError> {
        let ids = inputs.typed(0, &[DType::I32, DType::I64], "an integer type")?;
        let Some((_, samples)) = inputs.float(1)?.dims.split_last() else {
            return Err(inputs.shape_error(1, "at least 1 dimension"));
        };
        let losses = TensorType::new(DType::F32, samples);
        match TensorType::new(ids.dtype, samples).accepts(ids) {
            true => Ok(losses),
            false => Err(inputs.shape_error(0, format!("the sizes of {losses}"))),
        }
    }
}

impl Operator for SparseCrossentropy {
    fn name(&self) -> &'static str {
        "sparse_categorical_crossentropy"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![("from_logits", self.from_logits.to_string())];
        attributes.extend(self.ignore_class.map(|class| ("ignore_class", class.to_string())));
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "classes" } else { "y_pred" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        Ok(vec![self.losses(&inputs)?])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(upstream) = adjoint.gradient(0) else { return Ok(()) };
        let (ids, y_pred) = (adjoint.input(0)?, adjoint.input(1)?);
        let gradient = SparseCrossentropyGradient(*self);
        let gradient = adjoint.add(gradient, &[ids, y_pred, upstream])?;
        adjoint.give(1, gradient);
        Ok(())
    }
}

/// The gradient of the predictions of a [`SparseCrossentropy`], from that of each sample's loss
/// (`upstream` `[..]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseCrossentropyGradient(pub SparseCrossentropy);

impl Operator for SparseCrossentropyGradient {
    fn name(&self) -> &'static str {
        "sparse_categorical_crossentropy_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.0.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["classes", "y_pred", "upstream"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let losses = self.0.losses(&inputs)?;
        inputs.float(2)?;
        inputs.check(2, &losses)?;
        Ok(vec![inputs.float(1)?.clone()])
    }
}
