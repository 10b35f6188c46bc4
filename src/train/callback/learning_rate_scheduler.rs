//! A learning rate for each epoch.

use super::{Callback, Context, TrainError};
use crate::train::Logs;

/// Sets the learning rate before each epoch: Keras's `LearningRateScheduler`. Adds `learning_rate`
/// to the logs.
pub struct LearningRateScheduler<F> {
    schedule: F,
}

impl<F: FnMut(usize, f64) -> f64> LearningRateScheduler<F> {
    /// Takes the rate from `schedule`, which is given the epoch, counted from 0, and the rate so far.
    /// It may not keep a memory of its own if training is to be resumed.
    pub fn new(schedule: F) -> LearningRateScheduler<F> {
        LearningRateScheduler { schedule }
    }
}

impl<F> std::fmt::Debug for LearningRateScheduler<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LearningRateScheduler").finish_non_exhaustive()
    }
}

impl<F: FnMut(usize, f64) -> f64> Callback for LearningRateScheduler<F> {
    fn name(&self) -> &str {
        "LearningRateScheduler"
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        Some(&["learning_rate"])
    }

    fn on_epoch_begin(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        let rate = (self.schedule)(epoch, f64::from(context.learning_rate()));
        context.set_learning_rate(rate as f32)
    }

    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        logs: &mut Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        logs.set("learning_rate", f64::from(context.learning_rate()));
        Ok(())
    }
}
