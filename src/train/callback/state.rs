//! What a callback keeps, as checkpoints hold it.

use serde_json::{Map, Value};

use super::TrainError;
use crate::graph::Tensor;

/// What a callback must know to go on from a checkpoint: values by name, and tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallbackState {
    /// Counters and the like, as JSON.
    pub values: Map<String, Value>,
    /// Weights and the like.
    pub tensors: Vec<Tensor>,
}

impl CallbackState {
    /// Nothing yet.
    pub fn new() -> CallbackState {
        CallbackState::default()
    }

    /// Keeps a counter.
    pub fn with_count(mut self, name: &str, count: usize) -> CallbackState {
        self.values.insert(name.to_owned(), Value::from(count as u64));
        self
    }

    /// Keeps a number to the bit, NaN and infinities too; none as null.
    pub fn with_number(mut self, name: &str, number: Option<f64>) -> CallbackState {
        let bits = number.map_or(Value::Null, |number| Value::from(number.to_bits()));
        self.values.insert(name.to_owned(), bits);
        self
    }

    /// Keeps tensors; none differs from an empty list.
    pub fn with_tensors(mut self, tensors: Option<&[Tensor]>) -> CallbackState {
        self.values.insert("has_tensors".to_owned(), Value::from(tensors.is_some()));
        self.tensors = tensors.map(<[Tensor]>::to_vec).unwrap_or_default();
        self
    }

    /// A counter that was kept.
    ///
    /// # Errors
    /// If it was not.
    pub fn count(&self, class: &str, name: &str) -> Result<usize, TrainError> {
        let count = self.values.get(name).and_then(Value::as_u64);
        count.and_then(|count| usize::try_from(count).ok()).ok_or_else(|| Self::bad(class, name))
    }

    /// A number that was kept.
    ///
    /// # Errors
    /// If it was not.
    pub fn number(&self, class: &str, name: &str) -> Result<Option<f64>, TrainError> {
        match self.values.get(name) {
            Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(|b| Some(f64::from_bits(b)))
                .ok_or_else(|| Self::bad(class, name)),
            None => Err(Self::bad(class, name)),
        }
    }

    /// The tensors that were kept.
    pub fn kept_tensors(&self) -> Option<Vec<Tensor>> {
        let kept = self.values.get("has_tensors").and_then(Value::as_bool).unwrap_or(false);
        kept.then(|| self.tensors.clone())
    }

    /// The error that the state of a checkpoint lacks what a callback of `class` keeps.
    pub fn bad(class: &str, name: &str) -> TrainError {
        let found = format!("the checkpoint has no `{name}` of it");
        TrainError::setting(format!("callback {class}"), found, "start anew, without resuming")
    }
}
