//! What the flags and the configuration file say about training.

use std::path::Path;

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::common;
use crate::cli::error::CliError;
use crate::train::TrainConfig;
use crate::train::callback::{Callback, list_from_json};

/// What is computed from predictions.
#[derive(Debug, Args)]
pub(in crate::cli) struct CompileArgs {
    /// The loss: a name, or Keras's serialized form as JSON, by output where there are several
    #[arg(long, value_name = "NAME|JSON")]
    pub loss: Option<String>,
    /// Metrics: names, or any form that Keras's compile takes, as JSON
    #[arg(long, value_name = "NAME,…|JSON")]
    pub metrics: Option<String>,
}

impl CompileArgs {
    /// `config` with what the flags say in place of what it has.
    pub fn over(&self, mut config: TrainConfig) -> Result<TrainConfig, CliError> {
        if let Some(loss) = &self.loss {
            config = config.loss(name_or_json("--loss", loss)?);
        }
        if let Some(metrics) = &self.metrics {
            config = config.metrics(match json("--metrics", metrics)? {
                Some(value) => value,
                None => metrics.split(',').map(|name| Value::from(name.trim())).collect(),
            });
        }
        Ok(config)
    }
}

/// A value that is JSON by its first character.
fn json(flag: &str, text: &str) -> Result<Option<Value>, CliError> {
    if !text.trim_start().starts_with(['{', '[', '"']) {
        return Ok(None);
    }
    let parsed = serde_json::from_str(text).map(Some);
    parsed.map_err(|error| CliError::usage(format!("{flag}: not valid JSON: {error}")))
}

/// A name, or JSON.
pub(super) fn name_or_json(flag: &str, text: &str) -> Result<Value, CliError> {
    Ok(json(flag, text)?.unwrap_or_else(|| Value::from(text.trim())))
}

/// A number, or a schedule.
pub(super) fn learning_rate(text: &str) -> Result<Value, CliError> {
    if let Some(schedule) = json("--learning-rate", text)? {
        return Ok(schedule);
    }
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(Value::from(rate)),
        _ => Err(CliError::usage(format!(
            "--learning-rate {text}: expected a number from 0 on, or a schedule as JSON"
        ))),
    }
}

fn read(path: &Path) -> Result<Map<String, Value>, CliError> {
    let text = common::read_text(path)?;
    let bad = |what: &str| CliError::failed(what).within(path.display());
    match serde_json::from_str(&text) {
        Ok(Value::Object(settings)) => Ok(settings),
        Ok(_) => Err(bad("expected an object such as {\"optimizer\": …, \"loss\": …}")),
        Err(error) => Err(bad("not valid JSON").caused_by(&error)),
    }
}

/// The settings of a configuration file but its callbacks.
pub(super) fn compile(path: Option<&Path>) -> Result<Map<String, Value>, CliError> {
    let mut settings = path.map(read).transpose()?.unwrap_or_default();
    settings.shift_remove("callbacks");
    Ok(settings)
}

/// The callbacks of a configuration file.
pub(super) fn callbacks(path: Option<&Path>) -> Result<Vec<Box<dyn Callback>>, CliError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    match read(path)?.get("callbacks") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => list_from_json(list).map_err(|e| CliError::from(e).within(path.display())),
    }
}

/// The weights of classes, `0=1.0` or `pos=2.5`.
pub(super) fn class_weights(
    given: &[String],
    labels: Option<&[String]>,
) -> Result<Vec<(i64, f32)>, CliError> {
    let mut weights: Vec<(i64, f32)> = Vec::with_capacity(given.len());
    for entry in given {
        let refuse = |why: &str| CliError::usage(format!("--class-weight {entry}: {why}"));
        let (class, weight) =
            entry.rsplit_once('=').ok_or_else(|| refuse("expected CLASS=WEIGHT, such as 0=1.5"))?;
        let by_name = labels.and_then(|labels| labels.iter().position(|label| label == class));
        let class = match (by_name, class.trim().parse::<i64>()) {
            (Some(place), _) => place as i64,
            (None, Ok(number)) if number >= 0 => number,
            _ => return Err(refuse("no class has that number or name")),
        };
        let weight: f32 = weight.trim().parse().unwrap_or(f32::NAN);
        if !(weight.is_finite() && weight >= 0.0) {
            return Err(refuse("a weight is a number from 0 on"));
        }
        if weights.iter().any(|(known, _)| *known == class) {
            return Err(refuse("the class has a weight already"));
        }
        weights.push((class, weight));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_weighed_by_number_or_name() {
        let texts = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let labels = texts(&["neg", "pos"]);
        let given = texts(&["0=1.0", "pos=2.5"]);
        assert_eq!(class_weights(&given, Some(&labels)).unwrap(), [(0, 1.0), (1, 2.5)]);
        for bad in ["0", "x=1", "-1=1", "0=-2", "0=nan", "0=", "=1"] {
            let error = class_weights(&texts(&[bad]), None).unwrap_err();
            assert!(error.text().contains(bad) && error.exit() == 2, "{}", error.text());
        }
        assert!(class_weights(&texts(&["0=1", "0=2"]), None).is_err());
    }

    #[test]
    fn settings_are_names_or_json() {
        assert_eq!(name_or_json("--loss", "mse").unwrap(), Value::from("mse"));
        let form = name_or_json("--loss", r#"{"class_name": "Huber"}"#).unwrap();
        assert_eq!(form["class_name"], "Huber");
        assert!(name_or_json("--loss", "{").unwrap_err().text().contains("--loss"));
        assert_eq!(learning_rate("0.5").unwrap(), Value::from(0.5));
        for bad in ["-1", "nan", "fast", "inf"] {
            assert!(learning_rate(bad).unwrap_err().text().contains(bad));
        }
    }
}
