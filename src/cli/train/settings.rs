//! What the flags and the configuration file say about training.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::error::CliError;
use crate::cli::{common, show};
use crate::formats::classes;
use crate::train::TrainConfig;
use crate::train::callback::{Callback, list_from_json};
use crate::{Labels, Model};

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

/// Where a setting was given.
#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    /// The flag with its value.
    Flag(String),
}

/// Settings over those that a model was compiled with, later ones over earlier ones.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Settings(Vec<(Source, String, Value)>);

impl Settings {
    /// Those of a configuration file, but for its callbacks.
    pub fn of_file(path: Option<&Path>) -> Result<Settings, CliError> {
        let Some(path) = path else { return Ok(Settings::default()) };
        let mut found = read(path)?;
        found.shift_remove("callbacks");
        let source = Source::File(path.to_path_buf());
        let found = found.into_iter().map(|(name, value)| (source.clone(), name, value));
        Ok(Settings(found.collect()))
    }

    /// Adds what a flag says; `text` is as it was given.
    pub fn flag(&mut self, name: &str, text: &str, value: Value) {
        let flag = format!("--{} {text}", name.replace('_', "-"));
        self.0.push((Source::Flag(flag), name.to_owned(), value));
    }

    /// `config` with these settings, but for one of them.
    fn over(&self, config: &TrainConfig, but: Option<usize>) -> TrainConfig {
        let given = self.0.iter().enumerate().filter(|(index, _)| Some(*index) != but);
        given.fold(config.clone(), |config, (_, (_, name, value))| config.set(name, value.clone()))
    }

    /// `config` with these settings, of which `model` can be trained.
    ///
    /// # Errors
    /// What is missing or not taken, and where it was given: a flag's value is wrong usage.
    pub fn apply(&self, config: &TrainConfig, model: &Model) -> Result<TrainConfig, CliError> {
        let whole = self.over(config, None);
        let Err(error) = whole.compiled(model) else { return Ok(whole) };
        let text = error.to_string();
        // A setting is to blame if the error is another one without it, or none.
        for (index, (source, ..)) in self.0.iter().enumerate().rev() {
            let without = self.over(config, Some(index)).compiled(model);
            if without.is_err_and(|other| other.to_string() == text) {
                continue;
            }
            return Err(match source {
                Source::Flag(flag) => CliError::usage(format!("{}: {text}", show::cut(flag, 60))),
                Source::File(path) => CliError::from(error).within(path.display()),
            });
        }
        Err(error.into())
    }
}

impl CompileArgs {
    /// Adds what the flags say.
    pub fn add_to(&self, settings: &mut Settings) -> Result<(), CliError> {
        if let Some(loss) = &self.loss {
            settings.flag("loss", loss, name_or_json("--loss", loss)?);
        }
        if let Some(metrics) = &self.metrics {
            let value = match json("--metrics", metrics)? {
                Some(value) => value,
                None => metrics.split(',').map(|name| Value::from(name.trim())).collect(),
            };
            settings.flag("metrics", metrics, value);
        }
        Ok(())
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

/// A share of the rows, some of which are on either side.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "expected a number between 0 and 1, such as 0.2".to_owned())
}

/// A whole number from 0 on.
pub(super) fn count<T: std::str::FromStr<Err = std::num::ParseIntError>>(
    text: &str,
) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error}; expected a whole number from 0 on"))
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

/// The callbacks of a configuration file.
pub(super) fn callbacks(path: Option<&Path>) -> Result<Vec<Box<dyn Callback>>, CliError> {
    let Some(path) = path else { return Ok(Vec::new()) };
    match read(path)?.get("callbacks") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(list) => list_from_json(list).map_err(|e| CliError::from(e).within(path.display())),
    }
}

/// The names of the classes of the only output that is trained.
pub(super) fn class_names(
    labels: &Labels,
    model: &Model,
    config: &TrainConfig,
) -> Option<Vec<String>> {
    let outputs = model.graph().outputs();
    let names: Vec<String> = outputs.iter().map(|output| output.name.clone()).collect();
    let settings = config.compiled(model).and_then(|compile| compile.for_outputs(&names)).ok()?;
    let mut trained = outputs.iter().zip(&settings).filter(|(_, own)| own.loss.is_some());
    match (trained.next(), trained.next()) {
        (Some((output, _)), None) => {
            let classes = classes(model.graph().ty(output.value));
            labels.of(&output.name, classes).map(<[String]>::to_vec)
        }
        _ => None,
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
