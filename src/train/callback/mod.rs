//! What is called between the epochs of training.

use super::{Logs, TrainError};
use crate::model::Model;

/// Called while a model is trained. All methods have a default that does nothing.
pub trait Callback {
    /// Before the first epoch.
    ///
    /// # Errors
    /// What stops the training.
    fn on_train_begin(&mut self, _context: &mut Context<'_>) -> Result<(), TrainError> {
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

    /// After each epoch, with its loss and metrics, those of validation as `val_…`.
    ///
    /// # Errors
    /// What stops the training.
    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        _logs: &Logs,
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
}

/// What a callback can see and change.
pub struct Context<'a> {
    pub(super) control: &'a mut dyn Control,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// What a trainer lets callbacks do.
pub(super) trait Control {
    fn stop(&mut self);
    fn learning_rate(&self) -> f32;
    fn set_learning_rate(&mut self, rate: f32) -> Result<(), TrainError>;
    fn weights(&self) -> Vec<crate::graph::Tensor>;
    fn set_weights(&mut self, weights: &[crate::graph::Tensor]);
    fn model(&self) -> Result<Model, TrainError>;
}

impl Context<'_> {
    /// Ends the training after this epoch (or batch).
    pub fn stop(&mut self) {
        self.control.stop();
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f32 {
        self.control.learning_rate()
    }

    /// Changes the learning rate.
    ///
    /// # Errors
    /// If a schedule decides it.
    pub fn set_learning_rate(&mut self, rate: f32) -> Result<(), TrainError> {
        self.control.set_learning_rate(rate)
    }

    /// The weights of the model, to be restored later; the optimizer's slots are not among them.
    pub fn weights(&self) -> Vec<crate::graph::Tensor> {
        self.control.weights()
    }

    /// Gives the model the weights that [`weights`](Self::weights) gave earlier.
    pub fn set_weights(&mut self, weights: &[crate::graph::Tensor]) {
        self.control.set_weights(weights);
    }

    /// The model as it is now, with the optimizer's state.
    ///
    /// # Errors
    /// If it cannot be put together, which would be a fault of ours.
    pub fn model(&self) -> Result<Model, TrainError> {
        self.control.model()
    }
}
