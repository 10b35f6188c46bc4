//! The F score.

use super::confusion::Counts;
use super::mean::run_of_weights;
use super::{Batch, Metric, MetricError};
use crate::graph::Tensor;

/// How the scores of classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Average {
    /// All classes counted together.
    Micro,
    /// The mean.
    Macro,
    /// The mean, weighted by how many samples are of a class.
    Weighted,
}

/// `(1 + β²) P R / (β² P + R)`, with Keras's 1e-7 in every divisor.
#[derive(Debug)]
pub(super) struct FScore {
    pub(super) name: String,
    pub(super) average: Average,
    pub(super) beta: f64,
    pub(super) threshold: Option<f32>,
    /// Counts of a class each; empty before the first batch.
    pub(super) counts: Vec<Counts>,
    /// The sum of the targets of a class each.
    pub(super) targets: Vec<f64>,
}

const EPSILON: f64 = 1e-7;

impl Metric for FScore {
    fn name(&self) -> &str {
        &self.name
    }

    fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Tensor,
        weights: Option<&[f32]>,
    ) -> Result<(), MetricError> {
        let batch = Batch::of(&self.name, y_true, y_pred)?;
        let classes = match batch.pred_shape[..] {
            [_, classes] if classes > 0 && batch.true_shape == batch.pred_shape => classes,
            _ => return Err(batch.mismatch(&self.name, "equal shapes of [batch, classes]")),
        };
        if !self.counts.is_empty() && self.counts.len() != classes {
            return Err(batch.mismatch(&self.name, "the classes of the first batch"));
        }
        let samples = batch.pred_shape.first().copied().unwrap_or(0);
        if let Some(weights) = weights {
            run_of_weights(&self.name, &[samples], weights.len())?;
        }
        self.counts.resize(classes, Counts::default());
        self.targets.resize(classes, 0.0);
        let rows = batch.y_true.chunks(classes).zip(batch.y_pred.chunks(classes));
        for (sample, (y_true, y_pred)) in rows.enumerate() {
            let weight = weights.map_or(1.0, |weights| f64::from(weights[sample]));
            let most = y_pred.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for (class, (&y, &p)) in y_true.iter().zip(y_pred).enumerate() {
                let positive = match self.threshold {
                    Some(threshold) => p > threshold,
                    None => p >= most && p.abs() > 1e-9,
                };
                // Targets may be shares, so that each counts on both sides.
                let (counts, y) = (&mut self.counts[class], f64::from(y));
                counts.add(true, positive, weight * y);
                counts.add(false, positive, weight * (1.0 - y));
                self.targets[class] += weight * y;
            }
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        if self.counts.is_empty() {
            return 0.0;
        }
        if self.average == Average::Micro {
            let mut all = Counts::default();
            for counts in &self.counts {
                all.true_positives += counts.true_positives;
                all.false_positives += counts.false_positives;
                all.false_negatives += counts.false_negatives;
            }
            return self.score(&all);
        }
        let scores = self.counts.iter().map(|counts| self.score(counts));
        if self.average == Average::Macro {
            return scores.sum::<f64>() / self.counts.len() as f64;
        }
        let total = self.targets.iter().sum::<f64>() + EPSILON;
        scores.zip(&self.targets).map(|(score, target)| score * (target / total)).sum()
    }

    fn reset(&mut self) {
        self.counts.clear();
        self.targets.clear();
    }

    fn state(&self) -> Vec<f64> {
        let counts = self.counts.iter().flat_map(|counts| counts.to_array());
        counts.chain(self.targets.iter().copied()).collect()
    }

    fn restore(&mut self, state: &[f64]) -> bool {
        let classes = state.len() / 5;
        let (counts, targets) = state.split_at(4 * classes);
        let (counts, rest) = counts.as_chunks();
        self.counts = counts.iter().copied().map(Counts::from_array).collect();
        self.targets = targets.to_vec();
        rest.is_empty() && targets.len() == classes
    }

    fn honours_mask(&self) -> bool {
        false
    }
}

impl FScore {
    fn score(&self, counts: &Counts) -> f64 {
        let hits = counts.true_positives;
        let precision = hits / (hits + counts.false_positives + EPSILON);
        let recall = hits / (hits + counts.false_negatives + EPSILON);
        let square = self.beta * self.beta;
        precision * recall / (square * precision + recall + EPSILON) * (1.0 + square)
    }
}
