//! Loss and metrics over the batches of an epoch.

use std::collections::HashMap;

use super::TrainError;
use super::batch::Bound;
use super::compile::OutputConfig;
use super::history::Logs;
use super::logits;
use super::metric::{self, Metric};
use super::step::{targets_of, weights_of};
use crate::graph::{Graph, Tensor};
use crate::runtime::Tensors;

/// The means of losses, and the metrics.
#[derive(Debug)]
pub(super) struct Meters {
    /// The names of the outputs of the step, and of the logs.
    losses: Vec<(String, String)>,
    means: Vec<Mean>,
    metrics: Vec<Metered>,
}

/// A metric of one output.
#[derive(Debug)]
struct Metered {
    output: String,
    /// The name in the logs.
    name: String,
    metric: Box<dyn Metric>,
    /// Whether it heeds sample weights.
    weighted: bool,
    /// Whether it is a crossentropy, which takes the logits behind the output.
    from_logits: bool,
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
    /// Meters for an epoch of `data`; in training, noise behind an output hides its logits.
    ///
    /// # Errors
    /// If a metric is not known, or does not fit the output.
    pub fn new(
        graph: &Graph,
        outputs: &[OutputConfig],
        data: &Bound,
        training: bool,
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
            let single = |name: &&str| (format!("loss/{name}"), format!("{name}_loss"));
            losses.extend(trained.iter().map(single));
        }
        let mut meters =
            Meters { means: vec![Mean::default(); losses.len()], losses, metrics: Vec::new() };
        let mut names = Names::default();
        for weighted in [false, true] {
            for index in 0..outputs.len() {
                meters.add_metrics(
                    graph,
                    outputs,
                    data,
                    (index, training, weighted),
                    &mut names,
                )?;
            }
        }
        Ok(meters)
    }

    /// Adds the metrics of one output, plain ones or weighted ones.
    fn add_metrics(
        &mut self,
        graph: &Graph,
        outputs: &[OutputConfig],
        data: &Bound,
        (index, training, weighted): (usize, bool, bool),
        names: &mut Names,
    ) -> Result<(), TrainError> {
        let (output, config) = (&graph.outputs()[index], &outputs[index]);
        let Some(target) = data.get(&targets_of(&output.name)) else { return Ok(()) };
        let prediction: Vec<usize> =
            graph.ty(output.value).dims.iter().map(|dim| dim.known().unwrap_or(0)).collect();
        let has_logits = logits::activation_of(graph, output.value, training).is_some();
        for value in if weighted { &config.weighted_metrics } else { &config.metrics } {
            let mut metric = metric::from_keras(value, target.shape(), &prediction)?;
            let from_logits = has_logits && metric.take_logits();
            let prefix =
                if outputs.len() > 1 { format!("{}_", output.name) } else { String::new() };
            let name = names.unique(&prefix, metric.name(), weighted);
            let output = output.name.clone();
            self.metrics.push(Metered { output, name, metric, weighted, from_logits });
        }
        Ok(())
    }

    /// Takes in a batch of `rows` rows: what was fed to the step, and what it gave.
    ///
    /// # Errors
    /// If a metric refuses the values.
    pub fn update(
        &mut self,
        rows: usize,
        batch: &Tensors,
        results: &Tensors,
    ) -> Result<(), TrainError> {
        for (index, ((name, _), mean)) in self.losses.iter().zip(&mut self.means).enumerate() {
            let value = results.get(name).and_then(|loss| loss.as_f32()?.first().copied());
            // The whole loss is weighed by rows. That of one output would be by `y_pred.shape[0]`
            // (Keras's compile_utils.py), which is None in a traced step, as fit makes it unless
            // told otherwise: there every batch counts once, a shorter last one too.
            let weight = if index == 0 { rows as f32 } else { 1.0 };
            mean.add(value.unwrap_or(f32::NAN), weight);
        }
        for metered in &mut self.metrics {
            let name = &metered.output;
            let kind = if metered.from_logits { "logits" } else { "prediction" };
            let found = batch.get(&targets_of(name)).zip(results.get(&format!("{kind}/{name}")));
            let Some((targets, prediction)) = found else { continue };
            let weights = metered.weighted.then(|| batch.get(&weights_of(name))).flatten();
            let mask = results.get(&format!("mask/{name}"));
            let mask = mask.filter(|_| metered.metric.honours_mask());
            let weights = combine(weights, mask, name)?;
            metered.metric.update(targets, prediction, weights.as_deref())?;
        }
        Ok(())
    }

    /// The loss of the last batch's step.
    pub fn loss(results: &Tensors) -> f32 {
        let loss = results.get("loss").and_then(|loss| loss.as_f32()?.first().copied());
        loss.unwrap_or(f32::NAN)
    }

    /// The sums so far, of losses and then of metrics.
    pub fn state(&self) -> Vec<Vec<f64>> {
        let means = self.means.iter().map(|mean| vec![mean.total.into(), mean.count.into()]);
        means.chain(self.metrics.iter().map(|metered| metered.metric.state())).collect()
    }

    /// Goes on from what [`state`](Self::state) gave; says whether it was of such meters.
    pub fn restore(&mut self, state: &[Vec<f64>]) -> bool {
        if state.len() != self.means.len() + self.metrics.len() {
            return false;
        }
        let (means, metrics) = state.split_at(self.means.len());
        for (mean, sums) in self.means.iter_mut().zip(means) {
            let [total, count] = sums[..] else { return false };
            *mean = Mean { total: total as f32, count: count as f32 };
        }
        self.metrics.iter_mut().zip(metrics).all(|(metered, sums)| metered.metric.restore(sums))
    }

    /// Loss and metrics so far.
    pub fn logs(&self) -> Logs {
        let mut logs = Logs::new();
        for ((_, name), mean) in self.losses.iter().zip(&self.means) {
            logs.set(name.clone(), mean.result());
        }
        for metered in &self.metrics {
            logs.set(metered.name.clone(), metered.metric.result());
        }
        logs
    }
}

/// Names of metrics in the logs: Keras tells those that it met before by a number or, if weighted,
/// by that word.
#[derive(Debug, Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn unique(&mut self, prefix: &str, name: &str, weighted: bool) -> String {
        let full = format!("{prefix}{name}");
        if !self.0.contains_key(&full) {
            self.0.insert(full.clone(), 1);
            return full;
        }
        let known = if weighted { format!("{prefix}weighted_{name}") } else { full };
        let count = self.0.entry(known.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { known } else { format!("{known}_{}", *count - 1) }
    }
}

/// Sample weights times the mask.
fn combine(
    weights: Option<&Tensor>,
    mask: Option<&Tensor>,
    output: &str,
) -> Result<Option<Vec<f32>>, TrainError> {
    let weights = weights.map(as_floats);
    let mask = mask.map(as_floats);
    match (weights, mask) {
        (Some(mut weights), Some(mask)) if !mask.is_empty() => {
            if weights.is_empty() || !mask.len().is_multiple_of(weights.len()) {
                let found = format!("{} weights for {} steps", weights.len(), mask.len());
                let what = format!("sample weights of output `{output}`");
                return Err(TrainError::data(what, found, "a weight for each row or step"));
            }
            let steps = mask.len() / weights.len();
            weights = weights.iter().flat_map(|&w| std::iter::repeat_n(w, steps)).collect();
            weights.iter_mut().zip(&mask).for_each(|(weight, mask)| *weight *= mask);
            Ok(Some(weights))
        }
        (weights, mask) => Ok(weights.or(mask)),
    }
}

fn as_floats(tensor: &Tensor) -> Vec<f32> {
    tensor.data().to_f32().unwrap_or_default()
}
