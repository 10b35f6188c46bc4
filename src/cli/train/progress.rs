//! How far training has come: a bar on a terminal, and a line for each epoch.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output;
use crate::cli::show::number;
use crate::train::callback::{Callback, Context};
use crate::train::{Logs, TrainError};

/// Shows the batches of an epoch on standard error where that is a terminal, and prints a line when
/// the epoch ends.
pub(super) struct Progress {
    epochs: usize,
    batches: usize,
    epoch: usize,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For so many epochs of so many batches.
    pub fn new(epochs: usize, batches: usize) -> Progress {
        Progress { epochs, batches, epoch: 0, began: Instant::now(), bar: None }
    }

    fn begin(&self) -> ProgressBar {
        let bar = ProgressBar::new(self.batches as u64);
        let template = "Epoch {prefix}  {pos}/{len} {bar:20} {eta} left  {msg}";
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style.progress_chars("━╸─")),
            Err(_) => bar,
        };
        bar.with_prefix(format!("{}/{}", self.epoch + 1, self.epochs))
    }
}

impl Callback for Progress {
    fn name(&self) -> &str {
        "Progress"
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        Some(&[])
    }

    fn on_epoch_begin(&mut self, epoch: usize, _: &mut Context<'_>) -> Result<(), TrainError> {
        (self.epoch, self.began) = (epoch, Instant::now());
        Ok(())
    }

    fn on_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        _: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        if self.bar.is_none() {
            self.bar = Some(self.begin());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(batch as u64 + 1);
            // Numbers that nobody sees are not formatted.
            if !bar.is_hidden() {
                bar.set_message(line(logs));
            }
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        _: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let text = format!("Epoch {}/{}  {seconds:.1}s  {}\n", epoch + 1, self.epochs, line(logs));
        // Training goes on where nobody reads.
        let _ = output::print(&text);
        Ok(())
    }
}

/// Loss and metrics to four significant digits: `loss 0.6931  accuracy 0.5000`.
fn line(logs: &Logs) -> String {
    let parts = logs.iter().map(|(name, value)| format!("{name} {}", brief(value)));
    parts.collect::<Vec<_>>().join("  ")
}

/// A number to four significant digits.
pub(super) fn brief(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return number(value as f32);
    }
    let exponent = value.abs().log10().floor();
    match exponent {
        -4.0..4.0 => format!("{value:.*}", (3.0 - exponent).clamp(0.0, 4.0) as usize),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.683_147, "0.6831"),
            (0.0, "0"),
            (1.0, "1.000"),
            (123.456, "123.5"),
            (0.000_123, "0.0001"),
            (0.000_012_3, "1.230e-5"),
            (54321.0, "5.432e4"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(brief(value), text);
        }
    }
}
