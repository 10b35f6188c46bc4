//! Lowering the learning rate where nothing gets better any more.

use super::monitor::Monitor;
use super::{Callback, CallbackState, Context, Mode, TrainError};
use crate::train::Logs;
use crate::train::object::Object;

const CLASS: &str = "ReduceLROnPlateau";

/// Multiplies the learning rate by `factor` once what it monitors has not improved for `patience`
/// epochs: Keras's `ReduceLROnPlateau`, with its options and defaults. Adds `learning_rate` to the
/// logs.
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    monitor: Monitor,
    factor: f64,
    patience: usize,
    cooldown: usize,
    min_lr: f64,
    wait: usize,
    cooldown_counter: usize,
    best: Option<f64>,
}

impl Default for ReduceLROnPlateau {
    fn default() -> ReduceLROnPlateau {
        ReduceLROnPlateau::new("val_loss")
    }
}

impl ReduceLROnPlateau {
    /// Monitors a number of the logs, such as `val_loss`; a tenth after 10 epochs in which it did
    /// not improve by 1e-4.
    pub fn new(monitor: impl Into<String>) -> ReduceLROnPlateau {
        ReduceLROnPlateau {
            monitor: Monitor { min_delta: 1e-4, ..Monitor::new(monitor) },
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_lr: 0.0,
            wait: 0,
            cooldown_counter: 0,
            best: None,
        }
    }

    /// What the learning rate is multiplied by: less than 1.
    ///
    /// # Errors
    /// If it is 1, more, or NaN.
    pub fn factor(mut self, factor: f64) -> Result<ReduceLROnPlateau, TrainError> {
        if factor < 1.0 {
            self.factor = factor;
            return Ok(self);
        }
        let found = format!("factor is {factor}");
        Err(TrainError::setting(format!("callback {CLASS}"), found, "it is less than 1"))
    }

    /// How many epochs without improvement lower the rate.
    pub fn patience(mut self, epochs: usize) -> ReduceLROnPlateau {
        self.patience = epochs;
        self
    }

    /// A change by less than this is no improvement.
    pub fn min_delta(mut self, min_delta: f64) -> ReduceLROnPlateau {
        self.monitor.min_delta = min_delta;
        self
    }

    /// Whether less or more is better.
    pub fn mode(mut self, mode: Mode) -> ReduceLROnPlateau {
        self.monitor.mode = mode;
        self
    }

    /// How many epochs to wait after the rate was lowered.
    pub fn cooldown(mut self, epochs: usize) -> ReduceLROnPlateau {
        self.cooldown = epochs;
        self
    }

    /// The least learning rate.
    pub fn min_lr(mut self, rate: f64) -> ReduceLROnPlateau {
        self.min_lr = rate;
        self
    }

    pub(super) fn read(object: &mut Object) -> Result<ReduceLROnPlateau, TrainError> {
        let monitor = object.text("monitor")?.unwrap_or_else(|| "val_loss".to_owned());
        let factor = object.number("factor")?.unwrap_or(0.1);
        let mut read = ReduceLROnPlateau::new(monitor).factor(factor)?;
        read.patience = super::from_json::count(object, "patience", 10)?;
        read.monitor.mode = Mode::read(object)?;
        read.monitor.min_delta = object.number("min_delta")?.unwrap_or(1e-4);
        read.cooldown = super::from_json::count(object, "cooldown", 0)?;
        read.min_lr = object.number("min_lr")?.unwrap_or(0.0);
        Ok(read)
    }

    fn reduce(&mut self, context: &mut Context<'_>) -> Result<(), TrainError> {
        let rate = context.learning_rate();
        if rate > self.min_lr as f32 {
            let lower = (f64::from(rate) * self.factor).max(self.min_lr);
            context.set_learning_rate(lower as f32)?;
            (self.cooldown_counter, self.wait) = (self.cooldown, 0);
        }
        Ok(())
    }
}

impl Callback for ReduceLROnPlateau {
    fn name(&self) -> &str {
        CLASS
    }

    fn check(&self, reported: Option<&[String]>, context: &Context<'_>) -> Result<(), TrainError> {
        if context.has_schedule() {
            return Err(TrainError::setting(
                format!("callback {CLASS}"),
                "a schedule decides the learning rate, and the callback changes it",
                "use one of the two",
            ));
        }
        self.monitor.check(CLASS, reported, context)
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        Some(&["learning_rate"])
    }

    fn on_train_begin(&mut self, _context: &mut Context<'_>) -> Result<(), TrainError> {
        (self.wait, self.cooldown_counter, self.best) = (0, 0, None);
        Ok(())
    }

    fn on_train_resume(
        &mut self,
        state: &CallbackState,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.wait = state.count(CLASS, "wait")?;
        self.cooldown_counter = state.count(CLASS, "cooldown_counter")?;
        self.best = state.number(CLASS, "best")?;
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        _epoch: usize,
        logs: &mut Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        logs.set("learning_rate", f64::from(context.learning_rate()));
        let current = self.monitor.value(CLASS, logs)?;
        if self.cooldown_counter > 0 {
            self.cooldown_counter -= 1;
            self.wait = 0;
        }
        if self.monitor.improves(CLASS, current, self.best, context)? {
            self.best = Some(current);
            self.wait = 0;
        } else if self.cooldown_counter == 0 {
            self.wait += 1;
            if self.wait >= self.patience {
                self.reduce(context)?;
            }
        }
        Ok(())
    }

    fn state(&self) -> Option<CallbackState> {
        let state = CallbackState::new().with_count("wait", self.wait);
        let state = state.with_count("cooldown_counter", self.cooldown_counter);
        Some(state.with_number("best", self.best))
    }
}
