//! Watching a number of the logs: Keras's `MonitorCallback`.

use super::{Context, TrainError};
use crate::train::Logs;
use crate::train::metric::Direction;
use crate::train::object::Object;

/// Whether less or more of what is monitored is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Less of a loss, and of a metric as its kind says.
    #[default]
    Auto,
    /// Less.
    Min,
    /// More.
    Max,
}

impl Mode {
    /// Reads the option `mode`.
    pub(super) fn read(object: &mut Object) -> Result<Mode, TrainError> {
        match object.text("mode")?.as_deref() {
            None | Some("auto") => Ok(Mode::Auto),
            Some("min") => Ok(Mode::Min),
            Some("max") => Ok(Mode::Max),
            Some(other) => {
                Err(object.bad("mode", &format!("\"{other}\""), "there are auto, min, max"))
            }
        }
    }
}

/// What is watched, and when it is better.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    pub monitor: String,
    pub mode: Mode,
    pub min_delta: f64,
}

impl Monitor {
    /// Watches `monitor`, of which any change for the better counts.
    pub fn new(monitor: impl Into<String>) -> Monitor {
        Monitor { monitor: monitor.into(), mode: Mode::Auto, min_delta: 0.0 }
    }

    /// What is watched, in `logs`.
    ///
    /// # Errors
    /// If it is not there: Keras would warn and never act.
    pub fn value(&self, class: &str, logs: &Logs) -> Result<f64, TrainError> {
        let known = || logs.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        logs.get(&self.monitor).ok_or_else(|| self.missing(class, &known()))
    }

    fn missing(&self, class: &str, known: &[String]) -> TrainError {
        let found = format!("monitor is \"{}\", which training does not report", self.monitor);
        let without_validation =
            self.monitor.starts_with("val_") && !known.iter().any(|name| name.starts_with("val_"));
        let expected = match without_validation {
            true => format!("there are {}, and no validation data", known.join(", ")),
            false => format!("there are {}", known.join(", ")),
        };
        TrainError::setting(format!("callback {class}"), found, expected)
    }

    /// Checks before training that what is watched will be reported, and which way is better.
    ///
    /// # Errors
    /// As [`value`](Self::value) and [`improves`](Self::improves).
    pub fn check(
        &self,
        class: &str,
        reported: Option<&[String]>,
        context: &Context<'_>,
    ) -> Result<(), TrainError> {
        match reported {
            Some(names) if !names.contains(&self.monitor) => Err(self.missing(class, names)),
            _ => self.direction(class, context).map(drop),
        }
    }

    /// Whether `value` is better than `reference` by more than `min_delta`; than none it always is.
    /// Like Keras, the comparison is made in 32 bits.
    ///
    /// # Errors
    /// If the mode is `auto` and nothing says which way is better.
    pub fn improves(
        &self,
        class: &str,
        value: f64,
        reference: Option<f64>,
        context: &Context<'_>,
    ) -> Result<bool, TrainError> {
        let direction = self.direction(class, context)?;
        let Some(reference) = reference else { return Ok(true) };
        let delta = self.min_delta.abs();
        Ok(match direction {
            Direction::Down => ((value + delta) as f32) < reference as f32,
            Direction::Up => ((value - delta) as f32) > reference as f32,
        })
    }

    fn direction(&self, class: &str, context: &Context<'_>) -> Result<Direction, TrainError> {
        let name = self.monitor.strip_prefix("val_").unwrap_or(&self.monitor);
        match self.mode {
            Mode::Min => return Ok(Direction::Down),
            Mode::Max => return Ok(Direction::Up),
            Mode::Auto => {}
        }
        let of_loss = (name == "loss").then_some(Direction::Down);
        context.direction(name).or(of_loss).ok_or_else(|| {
            let found = format!("whether less or more of \"{}\" is better is open", self.monitor);
            let expected = "set mode to \"min\" or \"max\"";
            TrainError::setting(format!("callback {class}"), found, expected)
        })
    }
}
