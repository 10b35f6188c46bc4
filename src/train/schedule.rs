//! Learning rates by the number of steps done.

use serde_json::Value;

use super::TrainError;

/// A learning rate schedule.
#[derive(Clone, Debug)]
pub struct Schedule;

impl Schedule {
    /// Reads Keras's serialized form.
    ///
    /// # Errors
    /// Always, until there are schedules.
    pub fn from_json(value: &Value) -> Result<Schedule, TrainError> {
        Err(TrainError::setting("learning_rate", value.to_string(), "a number"))
    }

    /// The learning rate after `step` steps.
    pub fn at(&self, _step: u64) -> f32 {
        0.0
    }

    /// In Keras's serialized form.
    pub fn to_json(&self) -> Value {
        Value::Null
    }
}
