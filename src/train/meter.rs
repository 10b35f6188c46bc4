//! Loss and metrics over the batches of an epoch.

use super::TrainError;
use super::batch::Bound;
use super::compile::OutputConfig;
use super::history::Logs;
use crate::graph::Graph;
use crate::runtime::Tensors;

/// The means of losses, weighted by rows, and the metrics.
#[derive(Debug)]
pub(super) struct Meters {
    /// The names of the outputs of the step, and of the logs.
    losses: Vec<(String, String)>,
    means: Vec<Mean>,
}

/// Keras's `Mean`: both sums are of 32 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    total: f32,
    count: f32,
}

impl Mean {
    fn add(&mut self, value: f32, weight: f32) {
        self.total += value * weight;
        self.count += weight;
    }

    fn result(self) -> f64 {
        if self.count == 0.0 { 0.0 } else { f64::from(self.total / self.count) }
    }
}

impl Meters {
    /// Meters for an epoch of `data`.
    ///
    /// # Errors
    /// If a metric is not known, or does not fit the output.
    pub fn new(
        graph: &Graph,
        outputs: &[OutputConfig],
        _data: &Bound,
    ) -> Result<Meters, TrainError> {
        let mut losses = vec![("loss".to_owned(), "loss".to_owned())];
        let trained: Vec<&str> = graph
            .outputs()
            .iter()
            .zip(outputs)
            .filter(|(_, config)| config.loss.is_some())
            .map(|(output, _)| output.name.as_str())
            .collect();
        // The losses of single outputs are reported where there are several.
        if trained.len() > 1 {
            losses.extend(
                trained.iter().map(|name| (format!("loss/{name}"), format!("{name}_loss"))),
            );
        }
        Ok(Meters { means: vec![Mean::default(); losses.len()], losses })
    }

    /// Takes in a batch of `rows` rows: what was fed to the step, and what it gave.
    ///
    /// # Errors
    /// If a metric refuses the values.
    pub fn update(
        &mut self,
        rows: usize,
        _batch: &Tensors,
        results: &Tensors,
    ) -> Result<(), TrainError> {
        for ((name, _), mean) in self.losses.iter().zip(&mut self.means) {
            let value = results.get(name).and_then(|loss| loss.as_f32()?.first().copied());
            mean.add(value.unwrap_or(f32::NAN), rows as f32);
        }
        Ok(())
    }

    /// The loss of the last batch's step.
    pub fn loss(results: &Tensors) -> f32 {
        let loss = results.get("loss").and_then(|loss| loss.as_f32()?.first().copied());
        loss.unwrap_or(f32::NAN)
    }

    /// Loss and metrics so far.
    pub fn logs(&self) -> Logs {
        let mut logs = Logs::new();
        for ((_, name), mean) in self.losses.iter().zip(&self.means) {
            logs.set(name.clone(), mean.result());
        }
        logs
    }
}
