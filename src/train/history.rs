//! Losses and metrics by epoch, in Keras's form.

use serde_json::{Map, Value};

/// Named numbers of one epoch or batch, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Logs(Vec<(String, f64)>);

impl Logs {
    /// None yet.
    pub fn new() -> Logs {
        Logs::default()
    }

    /// Adds a number, or replaces that of the name.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// The number of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == name).map(|&(_, value)| value)
    }

    /// Names and numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// The logs of all epochs: `{"loss": […], "accuracy": […], "val_loss": […]}` as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History(Vec<(String, Vec<f64>)>);

impl History {
    /// No epoch yet.
    pub fn new() -> History {
        History::default()
    }

    /// Of these columns.
    pub(super) fn from_columns(columns: Vec<(String, Vec<f64>)>) -> History {
        History(columns)
    }

    /// Adds the logs of an epoch.
    pub fn push(&mut self, logs: &Logs) {
        for (name, value) in logs.iter() {
            match self.0.iter_mut().find(|(known, _)| known == name) {
                Some((_, values)) => values.push(value),
                None => self.0.push((name.to_owned(), vec![value])),
            }
        }
    }

    /// The values of one name, an epoch each.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, values)| values.as_slice())
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }

    /// How many epochs there are.
    pub fn epochs(&self) -> usize {
        self.0.iter().map(|(_, values)| values.len()).max().unwrap_or(0)
    }

    /// In Keras's form; numbers that JSON has not, NaN and infinities, become null.
    pub fn to_json(&self) -> Value {
        let entries = self.0.iter().map(|(name, values)| {
            (name.clone(), Value::from_iter(values.iter().map(|&value| Value::from(value))))
        });
        Value::Object(Map::from_iter(entries))
    }
}
