//! What callbacks see of the training and may change.

use super::TrainError;
use crate::graph::Tensor;
use crate::model::Model;
use crate::train::metric::Direction;

/// What a callback can see and change.
pub struct Context<'a> {
    pub(in crate::train) control: &'a mut dyn Control,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// What a trainer lets callbacks do.
pub(in crate::train) trait Control {
    fn stop(&mut self);
    fn learning_rate(&self) -> f32;
    fn has_schedule(&self) -> bool;
    fn set_learning_rate(&mut self, rate: f32) -> Result<(), TrainError>;
    fn weights(&self) -> Vec<Tensor>;
    fn set_weights(&mut self, weights: &[Tensor]);
    fn model(&self) -> Result<Model, TrainError>;
    fn direction(&self, metric: &str) -> Option<Direction>;
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

    /// Whether a schedule decides the learning rate.
    pub fn has_schedule(&self) -> bool {
        self.control.has_schedule()
    }

    /// Changes the learning rate.
    ///
    /// # Errors
    /// If a schedule decides it.
    pub fn set_learning_rate(&mut self, rate: f32) -> Result<(), TrainError> {
        self.control.set_learning_rate(rate)
    }

    /// The weights of the model, to be restored later; the optimizer's slots are not among them.
    pub fn weights(&self) -> Vec<Tensor> {
        self.control.weights()
    }

    /// Gives the model the weights that [`weights`](Self::weights) gave earlier.
    pub fn set_weights(&mut self, weights: &[Tensor]) {
        self.control.set_weights(weights);
    }

    /// The model as it is now, with the optimizer's state.
    ///
    /// # Errors
    /// If it cannot be put together, which would be a fault of ours.
    pub fn model(&self) -> Result<Model, TrainError> {
        self.control.model()
    }

    /// Whether more or less of the model's metric of that name is better; none if there is no such
    /// metric, or it is a mere count.
    pub fn direction(&self, metric: &str) -> Option<Direction> {
        self.control.direction(metric)
    }
}
