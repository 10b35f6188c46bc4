//! Counts of right and wrong positives and negatives over thresholds, and what is made of them.

use super::mean::run_of_weights;
use super::{Batch, Metric, MetricError};
use crate::graph::Tensor;

/// Below every prediction that counts: Keras's `NEG_INF`.
pub(super) const NEVER: f32 = -1e10;

/// Weighted counts at one threshold, or at each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) true_positives: f64,
    pub(super) false_positives: f64,
    pub(super) true_negatives: f64,
    pub(super) false_negatives: f64,
}

impl Counts {
    pub(super) fn to_array(self) -> [f64; 4] {
        let Counts { true_positives, false_positives, true_negatives, false_negatives } = self;
        [true_positives, false_positives, true_negatives, false_negatives]
    }

    pub(super) fn from_array(counts: [f64; 4]) -> Counts {
        let [true_positives, false_positives, true_negatives, false_negatives] = counts;
        Counts { true_positives, false_positives, true_negatives, false_negatives }
    }

    pub(super) fn add(&mut self, target: bool, positive: bool, weight: f64) {
        *match (target, positive) {
            (true, true) => &mut self.true_positives,
            (true, false) => &mut self.false_negatives,
            (false, true) => &mut self.false_positives,
            (false, false) => &mut self.true_negatives,
        } += weight;
    }
}

/// `a / b`, or 0 where `b` is 0.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Precision,
    Recall,
    TruePositives,
    FalsePositives,
    TrueNegatives,
    FalseNegatives,
}

#[derive(Debug)]
pub(super) struct Confusion {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) threshold: f32,
    pub(super) top_k: Option<usize>,
    pub(super) class_id: Option<usize>,
    pub(super) counts: Counts,
}

impl Metric for Confusion {
    fn name(&self) -> &str {
        &self.name
    }

    fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Tensor,
        weights: Option<&[f32]>,
    ) -> Result<(), MetricError> {
        let mut batch = Batch::of(&self.name, y_true, y_pred)?;
        let shape = batch.same(&self.name)?.to_vec();
        let run = match weights {
            Some(weights) => run_of_weights(&self.name, &shape, weights.len())?,
            None => 1,
        };
        let classes = shape.last().copied().unwrap_or(1).max(1);
        let rows = shape.len() > 1;
        let unfit = match (self.class_id, self.top_k) {
            (Some(class), _) if !rows || class >= classes => Some("rows that hold the class_id"),
            (_, Some(k)) if k > classes => Some("rows of top_k values or more"),
            _ => None,
        };
        if let Some(expected) = unfit {
            return Err(batch.mismatch(&self.name, expected));
        }
        if let Some(k) = self.top_k {
            batch.y_pred.chunks_mut(classes).for_each(|row| keep_top(row, k));
        }
        for (i, (&y, &p)) in batch.y_true.iter().zip(&batch.y_pred).enumerate() {
            if self.class_id.is_some_and(|class| i % classes != class) {
                continue;
            }
            let weight = weights.map_or(1.0, |weights| f64::from(weights[i / run]));
            self.counts.add(y != 0.0, p > self.threshold, weight);
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let Counts { true_positives, false_positives, true_negatives, false_negatives } =
            self.counts;
        match self.kind {
            Kind::Precision => ratio(true_positives, true_positives + false_positives),
            Kind::Recall => ratio(true_positives, true_positives + false_negatives),
            Kind::TruePositives => true_positives,
            Kind::FalsePositives => false_positives,
            Kind::TrueNegatives => true_negatives,
            Kind::FalseNegatives => false_negatives,
        }
    }

    fn reset(&mut self) {
        self.counts = Counts::default();
    }

    fn state(&self) -> Vec<f64> {
        self.counts.to_array().to_vec()
    }

    fn restore(&mut self, state: &[f64]) -> bool {
        let Ok(counts) = state.try_into() else { return false };
        self.counts = Counts::from_array(counts);
        true
    }

    fn honours_mask(&self) -> bool {
        false
    }
}

/// Puts [`NEVER`] in the place of all but the `k` largest values; of equals the first stay.
fn keep_top(row: &mut [f32], k: usize) {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    for &index in order.iter().skip(k) {
        row[index] = NEVER;
    }
}
