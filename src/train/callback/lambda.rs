//! Callbacks of closures.

use super::{Callback, Context, TrainError};
use crate::train::Logs;

type OnTrain = Box<dyn FnMut(&mut Context<'_>) -> Result<(), TrainError>>;
type OnBegin = Box<dyn FnMut(usize, &mut Context<'_>) -> Result<(), TrainError>>;
type OnBatch = Box<dyn FnMut(usize, &Logs, &mut Context<'_>) -> Result<(), TrainError>>;
type OnEpoch = Box<dyn FnMut(usize, &mut Logs, &mut Context<'_>) -> Result<(), TrainError>>;

/// Calls closures: Keras's `LambdaCallback`.
#[derive(Default)]
pub struct LambdaCallback {
    train_begin: Option<OnTrain>,
    epoch_begin: Option<OnBegin>,
    batch_end: Option<OnBatch>,
    epoch_end: Option<OnEpoch>,
    train_end: Option<OnTrain>,
}

impl std::fmt::Debug for LambdaCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LambdaCallback").finish_non_exhaustive()
    }
}

impl LambdaCallback {
    /// Does nothing yet.
    pub fn new() -> LambdaCallback {
        LambdaCallback::default()
    }

    /// Called as [`Callback::on_train_begin`].
    pub fn on_train_begin(
        mut self,
        call: impl FnMut(&mut Context<'_>) -> Result<(), TrainError> + 'static,
    ) -> LambdaCallback {
        self.train_begin = Some(Box::new(call));
        self
    }

    /// Called as [`Callback::on_epoch_begin`].
    pub fn on_epoch_begin(
        mut self,
        call: impl FnMut(usize, &mut Context<'_>) -> Result<(), TrainError> + 'static,
    ) -> LambdaCallback {
        self.epoch_begin = Some(Box::new(call));
        self
    }

    /// Called as [`Callback::on_batch_end`].
    pub fn on_batch_end(
        mut self,
        call: impl FnMut(usize, &Logs, &mut Context<'_>) -> Result<(), TrainError> + 'static,
    ) -> LambdaCallback {
        self.batch_end = Some(Box::new(call));
        self
    }

    /// Called as [`Callback::on_epoch_end`].
    pub fn on_epoch_end(
        mut self,
        call: impl FnMut(usize, &mut Logs, &mut Context<'_>) -> Result<(), TrainError> + 'static,
    ) -> LambdaCallback {
        self.epoch_end = Some(Box::new(call));
        self
    }

    /// Called as [`Callback::on_train_end`].
    pub fn on_train_end(
        mut self,
        call: impl FnMut(&mut Context<'_>) -> Result<(), TrainError> + 'static,
    ) -> LambdaCallback {
        self.train_end = Some(Box::new(call));
        self
    }
}

impl Callback for LambdaCallback {
    fn name(&self) -> &str {
        "LambdaCallback"
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        // Only what is called at the end of an epoch can add to its logs.
        self.epoch_end.is_none().then_some(&[])
    }

    fn on_train_begin(&mut self, context: &mut Context<'_>) -> Result<(), TrainError> {
        self.train_begin.as_mut().map_or(Ok(()), |call| call(context))
    }

    fn on_epoch_begin(
        &mut self,
        epoch: usize,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.epoch_begin.as_mut().map_or(Ok(()), |call| call(epoch, context))
    }

    fn on_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.batch_end.as_mut().map_or(Ok(()), |call| call(batch, logs, context))
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.epoch_end.as_mut().map_or(Ok(()), |call| call(epoch, logs, context))
    }

    fn on_train_end(&mut self, context: &mut Context<'_>) -> Result<(), TrainError> {
        self.train_end.as_mut().map_or(Ok(()), |call| call(context))
    }
}
