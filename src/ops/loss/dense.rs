//! Losses whose targets are numbers.

use std::borrow::Cow;

use super::LossKind;
use crate::graph::{Adjoint, Cost, GraphError, OpError, Operator, Slots, TensorType, elements};

/// The loss of each sample: `y_true` and `y_pred` `[.., classes]` give `[..]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Which loss.
    pub kind: LossKind,
}

/// The type of the losses of samples like these.
fn losses(inputs: &Slots<'_>) -> Result<TensorType, OpError> {
    let (y_true, y_pred) = (inputs.float(0)?, inputs.float(1)?);
    if !y_true.accepts(y_pred) {
        return Err(inputs.shape_error(1, y_true.to_string()));
    }
    match y_pred.dims.split_last() {
        Some((_, samples)) => Ok(TensorType::new(y_pred.dtype, samples)),
        None => Err(inputs.shape_error(1, "at least 1 dimension")),
    }
}

fn cost(inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
    let operands = inputs.iter().flatten().copied().chain(outputs);
    Cost {
        flops: 20 * inputs.first().copied().flatten().map_or(0, elements),
        bytes: operands.map(|ty| elements(ty) * ty.dtype.size() as u64).sum(),
    }
}

impl Operator for Loss {
    fn name(&self) -> &'static str {
        match self.kind {
            LossKind::BinaryCrossentropy { .. } => "binary_crossentropy",
            LossKind::CategoricalCrossentropy { .. } => "categorical_crossentropy",
            LossKind::MeanSquaredError => "mean_squared_error",
            LossKind::MeanAbsoluteError => "mean_absolute_error",
            LossKind::MeanAbsolutePercentageError => "mean_absolute_percentage_error",
            LossKind::MeanSquaredLogarithmicError => "mean_squared_logarithmic_error",
            LossKind::Huber { .. } => "huber",
            LossKind::LogCosh => "log_cosh",
            LossKind::Hinge => "hinge",
            LossKind::SquaredHinge => "squared_hinge",
            LossKind::CategoricalHinge => "categorical_hinge",
            LossKind::KlDivergence => "kl_divergence",
            LossKind::Poisson => "poisson",
            LossKind::CosineSimilarity => "cosine_similarity",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self.kind {
            LossKind::BinaryCrossentropy { from_logits, label_smoothing }
            | LossKind::CategoricalCrossentropy { from_logits, label_smoothing } => vec![
                ("from_logits", from_logits.to_string()),
                ("label_smoothing", label_smoothing.to_string()),
            ],
            LossKind::Huber { delta } => vec![("delta", delta.to_string())],
            _ => Vec::new(),
        }
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "y_true" } else { "y_pred" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        Ok(vec![losses(&inputs)?])
    }

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(upstream) = adjoint.gradient(0) else { return Ok(()) };
        if adjoint.wants(0) {
            return Err(adjoint.refuse("the targets of a loss have no gradient"));
        }
        let (y_true, y_pred) = (adjoint.input(0)?, adjoint.input(1)?);
        let gradient = LossGradient { kind: self.kind };
        let gradient = adjoint.add(gradient, &[y_true, y_pred, upstream])?;
        adjoint.give(1, gradient);
        Ok(())
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        cost(inputs, outputs)
    }
}

/// The gradient of the predictions of a [`Loss`], from that of each sample's loss (`upstream`
/// `[..]`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossGradient {
    /// Which loss.
    pub kind: LossKind,
}

impl Operator for LossGradient {
    fn name(&self) -> &'static str {
        "loss_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let loss = Loss { kind: self.kind };
        let mut attributes = vec![("loss", loss.name().to_owned())];
        attributes.extend(loss.attributes());
        attributes
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["y_true", "y_pred", "upstream"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let losses = losses(&inputs)?;
        inputs.float(2)?;
        inputs.check(2, &losses)?;
        Ok(vec![inputs.float(1)?.clone()])
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        cost(inputs, outputs)
    }
}
