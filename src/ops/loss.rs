//! Losses of every sample.

use std::borrow::Cow;

use crate::graph::{
    Adjoint, DType, Dim, GraphError, OpError, Operator, Slots, TensorType, ValueId,
};

pub use seqfuse_kernels::loss::Loss as LossKind;

/// The loss of every sample: `y_true` and `y_pred` `[.., classes]` give `[..]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// The formula.
    pub kind: LossKind,
}

/// The gradient of a [`Loss`] with respect to the predictions: `y_true`, `y_pred` `[.., classes]`
/// and the losses' gradient `[..]` give `[.., classes]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LossGradient {
    /// The formula.
    pub kind: LossKind,
}

/// Categorical crossentropy whose targets are the ids of classes: integers `y_true` `[..]` and
/// `y_pred` `[.., classes]` give `[..]`. An id outside the classes stops the run with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseCrossentropy {
    /// Whether the predictions are logits instead of probabilities.
    pub from_logits: bool,
    /// An id whose samples have no loss.
    pub ignore_class: Option<i64>,
}

/// The gradient of a [`SparseCrossentropy`] with respect to the predictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparseCrossentropyGradient {
    /// The loss that it is the gradient of.
    pub loss: SparseCrossentropy,
}

const SLOTS: [&str; 3] = ["y_true", "y_pred", "dy"];

fn slot_name(index: usize) -> Cow<'static, str> {
    Cow::Borrowed(SLOTS.get(index).copied().unwrap_or("surplus"))
}

/// The samples' dimensions, of predictions that have a last axis.
fn samples<'a>(inputs: &Slots<'a>) -> Result<&'a [Dim], OpError> {
    match &inputs.float(1)?.dims[..] {
        [samples @ .., _] => Ok(samples),
        [] => Err(inputs.shape_error(1, "at least 1 dimension")),
    }
}

fn dense_samples(inputs: &Slots<'_>) -> Result<TensorType, OpError> {
    let (y_true, y_pred) = (inputs.float(0)?, inputs.float(1)?);
    match y_pred.accepts(y_true) {
        true => Ok(TensorType::new(DType::F32, samples(inputs)?)),
        false => Err(inputs.shape_error(0, format!("{y_pred} as the predictions are"))),
    }
}

fn sparse_samples(inputs: &Slots<'_>) -> Result<TensorType, OpError> {
    let ids = inputs.typed(0, &[DType::I32, DType::I64], "an integer")?;
    let samples = samples(inputs)?;
    match TensorType::new(ids.dtype, samples).accepts(ids) {
        true => Ok(TensorType::new(DType::F32, samples)),
        false => Err(inputs.shape_error(0, "an id for each sample of the predictions".to_owned())),
    }
}

/// Checks the losses' gradient, and gives the predictions' type.
fn gradient_type(inputs: &Slots<'_>, samples: &TensorType) -> Result<Vec<TensorType>, OpError> {
    inputs.at_most(3)?;
    inputs.float(2)?;
    inputs.check(2, samples)?;
    Ok(vec![inputs.get(1)?.clone()])
}

fn give(
    adjoint: &mut Adjoint<'_>,
    gradient: impl Operator,
    dy: Option<ValueId>,
) -> Result<(), GraphError> {
    if adjoint.wants(0) {
        return Err(adjoint.refuse("targets are data and have no gradient"));
    }
    if let Some(dy) = dy {
        let (y_true, y_pred) = (adjoint.input(0)?, adjoint.input(1)?);
        let gradient = adjoint.add(gradient, &[y_true, y_pred, dy])?;
        adjoint.give(1, gradient);
    }
    Ok(())
}

impl Operator for Loss {
    fn name(&self) -> &'static str {
        "loss"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("kind", format!("{:?}", self.kind))]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        slot_name(index)
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        Ok(vec![dense_samples(&inputs)?])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let dy = adjoint.gradient(0);
        give(adjoint, LossGradient { kind: self.kind }, dy)
    }
}

impl Operator for LossGradient {
    fn name(&self) -> &'static str {
        "loss_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("kind", format!("{:?}", self.kind))]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        slot_name(index)
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let samples = dense_samples(&inputs)?;
        gradient_type(&inputs, &samples)
    }
}

impl Operator for SparseCrossentropy {
    fn name(&self) -> &'static str {
        "sparse_crossentropy"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("from_logits", self.from_logits.to_string())]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        slot_name(index)
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        Ok(vec![sparse_samples(&inputs)?])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let dy = adjoint.gradient(0);
        give(adjoint, SparseCrossentropyGradient { loss: self.clone() }, dy)
    }
}

impl Operator for SparseCrossentropyGradient {
    fn name(&self) -> &'static str {
        "sparse_crossentropy_gradient"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        slot_name(index)
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let samples = sparse_samples(&inputs)?;
        gradient_type(&inputs, &samples)
    }
}
