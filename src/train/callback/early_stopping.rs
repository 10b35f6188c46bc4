//! Stopping where nothing gets better any more.

use super::monitor::Monitor;
use super::{Callback, CallbackState, Context, Mode, TrainError};
use crate::graph::Tensor;
use crate::train::Logs;
use crate::train::object::Object;

const CLASS: &str = "EarlyStopping";

/// Stops the training once what it monitors has not improved for `patience` epochs: Keras's
/// `EarlyStopping`, with its options and defaults.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: usize,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    wait: usize,
    best: Option<f64>,
    best_weights: Option<Vec<Tensor>>,
}

impl Default for EarlyStopping {
    fn default() -> EarlyStopping {
        EarlyStopping::new("val_loss")
    }
}

impl EarlyStopping {
    /// Monitors a number of the logs, such as `val_loss`, with no patience.
    pub fn new(monitor: impl Into<String>) -> EarlyStopping {
        EarlyStopping {
            monitor: Monitor::new(monitor),
            patience: 0,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            wait: 0,
            best: None,
            best_weights: None,
        }
    }

    /// A change by less than this is no improvement.
    pub fn min_delta(mut self, min_delta: f64) -> EarlyStopping {
        self.monitor.min_delta = min_delta;
        self
    }

    /// How many epochs without improvement end the training.
    pub fn patience(mut self, epochs: usize) -> EarlyStopping {
        self.patience = epochs;
        self
    }

    /// Whether less or more is better.
    pub fn mode(mut self, mode: Mode) -> EarlyStopping {
        self.monitor.mode = mode;
        self
    }

    /// Only what is better than this renews the patience.
    pub fn baseline(mut self, baseline: f64) -> EarlyStopping {
        self.baseline = Some(baseline);
        self
    }

    /// Whether the model ends with the weights of its best epoch.
    pub fn restore_best_weights(mut self, restore: bool) -> EarlyStopping {
        self.restore_best_weights = restore;
        self
    }

    /// Looks at nothing before this epoch, counted from 0.
    pub fn start_from_epoch(mut self, epoch: usize) -> EarlyStopping {
        self.start_from_epoch = epoch;
        self
    }

    pub(super) fn read(object: &mut Object) -> Result<EarlyStopping, TrainError> {
        let monitor = object.text("monitor")?.unwrap_or_else(|| "val_loss".to_owned());
        let mut read = EarlyStopping::new(monitor);
        read.monitor.min_delta = object.number("min_delta")?.unwrap_or(0.0);
        read.monitor.mode = Mode::read(object)?;
        read.patience = super::from_json::count(object, "patience", 0)?;
        read.baseline = object.number("baseline")?;
        read.restore_best_weights = object.bool_or("restore_best_weights", false)?;
        read.start_from_epoch = super::from_json::count(object, "start_from_epoch", 0)?;
        Ok(read)
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        CLASS
    }

    fn check(&self, reported: Option<&[String]>, context: &Context<'_>) -> Result<(), TrainError> {
        self.monitor.check(CLASS, reported, context)
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        Some(&[])
    }

    fn on_train_begin(&mut self, _context: &mut Context<'_>) -> Result<(), TrainError> {
        (self.wait, self.best, self.best_weights) = (0, None, None);
        Ok(())
    }

    fn on_train_resume(
        &mut self,
        state: &CallbackState,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.wait = state.count(CLASS, "wait")?;
        self.best = state.number(CLASS, "best")?;
        self.best_weights = state.kept_tensors();
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        let current = self.monitor.value(CLASS, logs)?;
        if epoch < self.start_from_epoch {
            return Ok(());
        }
        if self.restore_best_weights && self.best_weights.is_none() {
            self.best_weights = Some(context.weights());
        }
        self.wait += 1;
        if self.monitor.improves(CLASS, current, self.best, context)? {
            self.best = Some(current);
            if self.restore_best_weights {
                self.best_weights = Some(context.weights());
            }
            if self.monitor.improves(CLASS, current, self.baseline, context)? {
                self.wait = 0;
            }
            return Ok(());
        }
        if self.wait >= self.patience && epoch > 0 {
            context.stop();
        }
        Ok(())
    }

    fn on_train_end(&mut self, context: &mut Context<'_>) -> Result<(), TrainError> {
        if let Some(weights) = &self.best_weights {
            context.set_weights(weights);
        }
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let state = CallbackState::new().with_count("wait", self.wait);
        let state = state.with_number("best", self.best);
        Some(state.with_tensors(self.best_weights.as_deref()))
    }
}
