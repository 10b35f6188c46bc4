//! Losses: Keras's settings, and the nodes that compute them.

mod build;

pub(super) use build::{LossInputs, add_loss};

use serde_json::Value;

use super::TrainError;
use super::object::Object;
use crate::ops::LossKind;

/// The loss of one output.
#[derive(Clone, Debug, PartialEq)]
pub struct LossConfig {
    /// The formula.
    pub function: LossFunction,
    /// How the losses of samples become one.
    pub reduction: Reduction,
}

/// The formula of a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossFunction {
    /// Of targets that are numbers.
    Dense(LossKind),
    /// Categorical crossentropy of class ids.
    SparseCrossentropy {
        /// Whether the predictions are logits.
        from_logits: bool,
        /// An id whose samples do not count.
        ignore_class: Option<i64>,
    },
    /// The crossentropy that the shapes of targets and predictions call for.
    Crossentropy,
}

/// How the losses of samples become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum divided by their number.
    Mean,
    /// Their sum.
    Sum,
    /// Their sum divided by the sum of the weights.
    MeanWithSampleWeight,
}

const KNOWN: [&str; 16] = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "crossentropy",
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "hinge",
    "squared_hinge",
    "categorical_hinge",
    "kl_divergence",
    "poisson",
    "cosine_similarity",
];

impl LossConfig {
    /// Reads a loss by name or in Keras's serialized form; `output` names it in errors.
    ///
    /// # Errors
    /// If it is not known, or an option is not honoured.
    pub fn from_json(value: &Value, output: &str) -> Result<LossConfig, TrainError> {
        let mut object = Object::read(format!("loss of output `{output}`"), value)?;
        let function = function(&mut object)?;
        object.ignore(&["name", "dtype"]);
        // Functions are serialized under this name where a class was made of them.
        object.ignore(&["fn"]);
        if let Some(axis) = object.integer("axis")?
            && axis != -1
        {
            return Err(object.bad(
                "axis",
                &axis.to_string(),
                "only the last axis, -1, is possible",
            ));
        }
        let reduction = match object.text("reduction")?.as_deref() {
            None | Some("sum_over_batch_size" | "mean" | "auto") => Reduction::Mean,
            Some("sum") => Reduction::Sum,
            Some("mean_with_sample_weight") => Reduction::MeanWithSampleWeight,
            Some(other) => {
                let expected = "it is sum_over_batch_size, sum, mean or mean_with_sample_weight";
                return Err(object.bad("reduction", other, expected));
            }
        };
        object.finish()?;
        Ok(LossConfig { function, reduction })
    }
}

fn function(object: &mut Object) -> Result<LossFunction, TrainError> {
    let key = object.key();
    let crossentropy = |object: &mut Object| -> Result<(bool, f32), TrainError> {
        Ok((object.bool_or("from_logits", false)?, object.number_or("label_smoothing", 0.0)?))
    };
    Ok(LossFunction::Dense(match key.as_str() {
        "binarycrossentropy" | "bce" => {
            let (from_logits, label_smoothing) = crossentropy(object)?;
            LossKind::BinaryCrossentropy { from_logits, label_smoothing }
        }
        "categoricalcrossentropy" => {
            let (from_logits, label_smoothing) = crossentropy(object)?;
            LossKind::CategoricalCrossentropy { from_logits, label_smoothing }
        }
        "sparsecategoricalcrossentropy" => {
            return Ok(LossFunction::SparseCrossentropy {
                from_logits: object.bool_or("from_logits", false)?,
                ignore_class: object.integer("ignore_class")?,
            });
        }
        "crossentropy" | "ce" => return Ok(LossFunction::Crossentropy),
        "meansquarederror" | "mse" => LossKind::MeanSquaredError,
        "meanabsoluteerror" | "mae" => LossKind::MeanAbsoluteError,
        "meanabsolutepercentageerror" | "mape" => LossKind::MeanAbsolutePercentageError,
        "meansquaredlogarithmicerror" | "msle" => LossKind::MeanSquaredLogarithmicError,
        "huber" => LossKind::Huber { delta: object.number_or("delta", 1.0)? },
        "logcosh" => LossKind::LogCosh,
        "hinge" => LossKind::Hinge,
        "squaredhinge" => LossKind::SquaredHinge,
        "categoricalhinge" => LossKind::CategoricalHinge,
        "kldivergence" | "kld" | "kullbackleiblerdivergence" => LossKind::KlDivergence,
        "poisson" => LossKind::Poisson,
        "cosinesimilarity" => LossKind::CosineSimilarity,
        _ => return Err(object.unknown(&KNOWN)),
    }))
}
