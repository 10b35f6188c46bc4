//! What a model was compiled with: optimizer, losses, metrics, in Keras's `compile_config` form.

use serde_json::{Map, Value};

use super::TrainError;
use super::loss::LossConfig;
use super::metric;
use super::object::{Object, show};
use super::optimizer::OptimizerConfig;

/// Optimizer, losses and metrics of a model.
#[derive(Clone, Debug)]
pub struct CompileConfig {
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    loss: Value,
    loss_weights: Value,
    metrics: Value,
    weighted_metrics: Value,
}

/// What one output of the model is trained by.
#[derive(Clone, Debug)]
pub struct OutputConfig {
    /// The loss; none for an output that is not trained.
    pub loss: Option<LossConfig>,
    /// The factor of its loss in the sum of all.
    pub loss_weight: Option<f32>,
    /// Metrics of all rows alike, in Keras's form.
    pub metrics: Vec<Value>,
    /// Metrics that heed sample and class weights, in Keras's form.
    pub weighted_metrics: Vec<Value>,
}

impl OutputConfig {
    /// Whether its targets are of use.
    pub(super) fn wants_targets(&self) -> bool {
        self.loss.is_some() || !self.metrics.is_empty() || !self.weighted_metrics.is_empty()
    }
}

impl CompileConfig {
    /// Reads Keras's `compile_config`.
    ///
    /// # Errors
    /// If a setting is not known or not honoured.
    pub fn from_json(config: &Map<String, Value>) -> Result<CompileConfig, TrainError> {
        const KNOWN: [&str; 9] = [
            "optimizer",
            "loss",
            "loss_weights",
            "metrics",
            "weighted_metrics",
            // How Keras runs a step, which does not change what it computes.
            "run_eagerly",
            "steps_per_execution",
            "jit_compile",
            "auto_scale_loss",
        ];
        if let Some(unknown) = config.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            let expected = format!("the settings are {}", KNOWN[..5].join(", "));
            return Err(TrainError::setting("compile_config", format!("`{unknown}`"), expected));
        }
        let value = |key: &str| config.get(key).cloned().unwrap_or(Value::Null);
        let optimizer = match value("optimizer") {
            Value::Null => {
                return Err(TrainError::Missing { what: "optimizer", example: "adam" });
            }
            optimizer => OptimizerConfig::from_json(&optimizer)?,
        };
        Ok(CompileConfig {
            optimizer,
            loss: value("loss"),
            loss_weights: value("loss_weights"),
            metrics: value("metrics"),
            weighted_metrics: value("weighted_metrics"),
        })
    }

    /// In Keras's `compile_config` form.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut config = Map::new();
        config.insert("optimizer".to_owned(), self.optimizer.to_json());
        config.insert("loss".to_owned(), self.loss.clone());
        config.insert("loss_weights".to_owned(), self.loss_weights.clone());
        config.insert("metrics".to_owned(), self.metrics.clone());
        config.insert("weighted_metrics".to_owned(), self.weighted_metrics.clone());
        config.insert("run_eagerly".to_owned(), Value::Bool(false));
        config.insert("steps_per_execution".to_owned(), Value::from(1));
        config.insert("jit_compile".to_owned(), Value::Bool(false));
        config
    }

    /// What each of the model's outputs is trained by, in their order.
    ///
    /// # Errors
    /// If a setting does not fit the outputs, or none of them has a loss.
    pub fn for_outputs(&self, outputs: &[String]) -> Result<Vec<OutputConfig>, TrainError> {
        let losses = spread("loss", &self.loss, outputs, true)?;
        let weights = spread("loss_weights", &self.loss_weights, outputs, false)?;
        let metrics = spread_lists("metrics", &self.metrics, outputs)?;
        let weighted = spread_lists("weighted_metrics", &self.weighted_metrics, outputs)?;
        let mut found = Vec::with_capacity(outputs.len());
        for (index, name) in outputs.iter().enumerate() {
            let loss = losses[index].map(|loss| LossConfig::from_json(loss, name)).transpose()?;
            let weight = weights[index].map(|value| {
                value.as_f64().map(|weight| weight as f32).ok_or_else(|| {
                    let what = format!("loss_weights of output `{name}`");
                    TrainError::setting(what, show(value), "a weight is a number")
                })
            });
            // Shapes decide what `accuracy` means, not whether a metric is known.
            for metric in metrics[index].iter().chain(&weighted[index]) {
                metric::from_keras(metric, &[], &[])?;
            }
            found.push(OutputConfig {
                loss,
                loss_weight: weight.transpose()?,
                metrics: metrics[index].clone(),
                weighted_metrics: weighted[index].clone(),
            });
        }
        match found.iter().any(|output| output.loss.is_some()) {
            true => Ok(found),
            false => Err(TrainError::Missing { what: "loss", example: "binary_crossentropy" }),
        }
    }
}

/// A setting for each output: one for all (where `repeats`) or for the only one, a list in their
/// order, or an object by their names.
fn spread<'v>(
    what: &str,
    value: &'v Value,
    outputs: &[String],
    repeats: bool,
) -> Result<Vec<Option<&'v Value>>, TrainError> {
    let given = |value: &'v Value| Some(value).filter(|value| !value.is_null());
    match value {
        Value::Null => Ok(vec![None; outputs.len()]),
        Value::Array(list) if list.len() == outputs.len() => Ok(list.iter().map(given).collect()),
        Value::Object(map) if !Object::is_one(value) => {
            refuse_unknown(what, map, outputs)?;
            Ok(outputs.iter().map(|name| map.get(name).and_then(given)).collect())
        }
        Value::Array(_) => Err(misfit(what, value, outputs)),
        one if repeats || outputs.len() == 1 => Ok(vec![Some(one); outputs.len()]),
        _ => Err(misfit(what, value, outputs)),
    }
}

/// A list of settings for each output.
fn spread_lists(
    what: &str,
    value: &Value,
    outputs: &[String],
) -> Result<Vec<Vec<Value>>, TrainError> {
    let list = |value: &Value| match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list.iter().filter(|value| !value.is_null()).cloned().collect(),
        one => vec![one.clone()],
    };
    match value {
        Value::Null => Ok(vec![Vec::new(); outputs.len()]),
        Value::Object(map) if !Object::is_one(value) => {
            refuse_unknown(what, map, outputs)?;
            let of = |name: &String| list(map.get(name).unwrap_or(&Value::Null));
            Ok(outputs.iter().map(of).collect())
        }
        // Lists within the list are flattened for a single output.
        value if outputs.len() == 1 => Ok(vec![list(value).iter().flat_map(list).collect()]),
        Value::Array(entries) if entries.len() == outputs.len() => {
            Ok(entries.iter().map(list).collect())
        }
        _ => Err(misfit(what, value, outputs)),
    }
}

fn refuse_unknown(
    what: &str,
    map: &Map<String, Value>,
    outputs: &[String],
) -> Result<(), TrainError> {
    match map.keys().find(|key| !outputs.contains(key)) {
        None => Ok(()),
        Some(unknown) => {
            let expected = format!("the model's outputs are {}", outputs.join(", "));
            Err(TrainError::setting(what, format!("an entry for `{unknown}`"), expected))
        }
    }
}

fn misfit(what: &str, value: &Value, outputs: &[String]) -> TrainError {
    let expected = format!("give an entry for each of the outputs {}", outputs.join(", "));
    TrainError::setting(what, show(value), expected)
}
