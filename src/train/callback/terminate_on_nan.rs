//! Stopping where the loss is no number any more.

use super::{Callback, Context, TrainError};
use crate::train::Logs;
use crate::train::object::Object;

/// Stops the training, without an error, once the loss is NaN or infinite: Keras's
/// `TerminateOnNaN`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TerminateOnNaN {
    raise_error: bool,
}

impl TerminateOnNaN {
    /// Stops after the batch whose loss is NaN or infinite.
    pub fn new() -> TerminateOnNaN {
        TerminateOnNaN::default()
    }

    /// Whether such a loss is an error, as without this callback.
    pub fn raise_error(mut self, raise: bool) -> TerminateOnNaN {
        self.raise_error = raise;
        self
    }

    pub(super) fn read(object: &mut Object) -> Result<TerminateOnNaN, TrainError> {
        Ok(TerminateOnNaN { raise_error: object.bool_or("raise_error", false)? })
    }
}

impl Callback for TerminateOnNaN {
    fn name(&self) -> &str {
        "TerminateOnNaN"
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        Some(&[])
    }

    fn on_batch_end(
        &mut self,
        _batch: usize,
        logs: &Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        if logs.get("loss").is_some_and(|loss| !loss.is_finite()) && !self.raise_error {
            context.stop();
        }
        Ok(())
    }

    fn handles_divergence(&self) -> bool {
        !self.raise_error
    }
}
