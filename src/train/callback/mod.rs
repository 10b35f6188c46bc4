//! What is called between the epochs of training: Keras's callbacks, and a trait for one's own.

mod control;
mod csv_logger;
mod early_stopping;
mod from_json;
mod lambda;
mod learning_rate_scheduler;
mod model_checkpoint;
mod monitor;
mod python;
mod reduce_lr_on_plateau;
mod state;
mod terminate_on_nan;
#[cfg(test)]
mod tests;

use super::{Logs, TrainError};

pub use control::Context;
pub(super) use control::Control;
pub use csv_logger::CsvLogger;
pub use early_stopping::EarlyStopping;
pub use from_json::{from_json, list_from_json};
pub use lambda::LambdaCallback;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::{ModelCheckpoint, SaveFreq};
pub use monitor::Mode;
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use state::CallbackState;
pub use terminate_on_nan::TerminateOnNaN;

/// Called while a model is trained. All methods have a default that does nothing.
///
/// Callbacks are called in the order in which they were added. Errors end the training.
pub trait Callback {
    /// What messages and checkpoints call it: Keras's name of the class.
    fn name(&self) -> &str {
        "Callback"
    }

    /// Before anything is trained, from the first epoch on or from a checkpoint: refuses what would
    /// fail later. `reported` are the names that the logs of an epoch will have when this callback
    /// sees them; none where a callback before it may add some that are not known.
    ///
    /// # Errors
    /// What cannot be done.
    fn check(
        &self,
        _reported: Option<&[String]>,
        _context: &Context<'_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// The names that it adds to the logs of an epoch; none if that is not known, as of a callback
    /// that does not say.
    fn added_logs(&self) -> Option<&[&'static str]> {
        None
    }

    /// Before the first epoch.
    ///
    /// # Errors
    /// What stops the training.
    fn on_train_begin(&mut self, _context: &mut Context<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// In place of [`on_train_begin`](Self::on_train_begin) where training goes on from a
    /// checkpoint: takes back what [`state`](Self::state) gave there. Without a state of its own a
    /// callback begins as always.
    ///
    /// # Errors
    /// What stops the training; [`CallbackState::bad`] if the state is not its own.
    fn on_train_resume(
        &mut self,
        _state: &CallbackState,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.on_train_begin(context)
    }

    /// Before each epoch, counted from 0; not before one that goes on from a checkpoint within it.
    ///
    /// # Errors
    /// What stops the training.
    fn on_epoch_begin(
        &mut self,
        _epoch: usize,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// Before each batch, counted from 0 within the epoch.
    ///
    /// # Errors
    /// What stops the training.
    fn on_batch_begin(
        &mut self,
        _batch: usize,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// After each batch, with the means so far.
    ///
    /// # Errors
    /// What stops the training.
    fn on_batch_end(
        &mut self,
        _batch: usize,
        _logs: &Logs,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// After each epoch, with its loss and metrics, those of validation as `val_…`. What is added to
    /// the logs goes to the callbacks after this one and into the history.
    ///
    /// # Errors
    /// What stops the training.
    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        _logs: &mut Logs,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// After the last epoch.
    ///
    /// # Errors
    /// What the training is to end with.
    fn on_train_end(&mut self, _context: &mut Context<'_>) -> Result<(), TrainError> {
        Ok(())
    }

    /// Whether a loss that is NaN or infinite is its business; otherwise it is an error.
    fn handles_divergence(&self) -> bool {
        false
    }

    /// What it must know to go on from a checkpoint; none if it keeps nothing from epoch to epoch.
    fn state(&self) -> Option<CallbackState> {
        None
    }
}

impl<C: Callback + ?Sized> Callback for Box<C> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn check(&self, reported: Option<&[String]>, context: &Context<'_>) -> Result<(), TrainError> {
        (**self).check(reported, context)
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        (**self).added_logs()
    }

    fn on_train_begin(&mut self, context: &mut Context<'_>) -> Result<(), TrainError> {
        (**self).on_train_begin(context)
    }

    fn on_train_resume(
        &mut self,
        state: &CallbackState,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        (**self).on_train_resume(state, context)
    }

    fn on_epoch_begin(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        (**self).on_epoch_begin(epoch, context)
    }

    fn on_batch_begin(
        &mut self,
        batch: usize,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        (**self).on_batch_begin(batch, context)
    }

    fn on_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        (**self).on_batch_end(batch, logs, context)
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        (**self).on_epoch_end(epoch, logs, context)
    }

    fn on_train_end(&mut self, context: &mut Context<'_>) -> Result<(), TrainError> {
        (**self).on_train_end(context)
    }

    fn handles_divergence(&self) -> bool {
        (**self).handles_divergence()
    }

    fn state(&self) -> Option<CallbackState> {
        (**self).state()
    }
}
