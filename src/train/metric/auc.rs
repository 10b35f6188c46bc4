//! The area under a curve.

use super::confusion::{Counts, ratio};
use super::mean::run_of_weights;
use super::{Batch, Metric, MetricError};
use crate::graph::Tensor;

/// Which curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    /// Recall over the rate of false positives.
    Roc,
    /// Precision over recall.
    Pr,
    /// Gain of precision over gain of recall (Flach and Kull, 2015).
    PrGain,
}

/// How tall a strip of the curve is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Summation {
    /// The mean of its ends; for [`Curve::Pr`] the interpolation of Davis and Goadrich (2006).
    Interpolation,
    /// The lower end.
    Minoring,
    /// The upper end.
    Majoring,
}

#[derive(Debug)]
pub(super) struct Auc {
    pub(super) name: String,
    pub(super) curve: Curve,
    pub(super) summation: Summation,
    /// Rising, with one below 0 and one above 1.
    pub(super) thresholds: Vec<f32>,
    /// Whether the thresholds are `i / (count - 1)` but for the ends: predictions then go to
    /// thresholds by rounding, as in Keras.
    pub(super) even: bool,
    pub(super) from_logits: bool,
    /// One curve for each label rather than one of all.
    pub(super) multi_label: bool,
    pub(super) num_labels: Option<usize>,
    pub(super) label_weights: Option<Vec<f32>>,
    /// `[labels, thresholds]`; empty before the first batch.
    pub(super) counts: Vec<Vec<Counts>>,
}

impl Metric for Auc {
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
        let shape = batch.same(&self.name)?.to_vec();
        let last = shape.last().copied().unwrap_or(1).max(1);
        let labels = if self.multi_label { last } else { 1 };
        let known = if self.counts.is_empty() { self.num_labels } else { Some(self.counts.len()) };
        if self.multi_label && (shape.len() != 2 || known.is_some_and(|known| known != labels)) {
            return Err(batch.mismatch(&self.name, "equal shapes of [batch, labels]"));
        }
        if self.label_weights.as_ref().is_some_and(|weights| weights.len() != last) {
            return Err(batch.mismatch(&self.name, "as many labels as label_weights"));
        }
        let run = match weights {
            Some(weights) => run_of_weights(&self.name, &shape, weights.len())?,
            None => 1,
        };
        let count = self.thresholds.len();
        // Sums of what falls between two thresholds: right and wrong, a label each.
        let mut buckets = vec![vec![(0.0, 0.0); count + 1]; labels];
        for (i, (&y, &p)) in batch.y_true.iter().zip(&batch.y_pred).enumerate() {
            let mut weight = weights.map_or(1.0, |weights| f64::from(weights[i / run]));
            if let (false, Some(of_labels)) = (self.multi_label, &self.label_weights) {
                weight *= f64::from(of_labels[i % last]);
            }
            let bucket = &mut buckets[i % labels][self.passed(p)];
            *(if y != 0.0 { &mut bucket.0 } else { &mut bucket.1 }) += weight;
        }
        self.counts.resize(labels, vec![Counts::default(); count]);
        for (counts, buckets) in self.counts.iter_mut().zip(&buckets) {
            add_buckets(counts, buckets);
        }
        Ok(())
    }

    fn result(&self) -> f64 {
        let areas = self.counts.iter().map(|counts| self.area(counts));
        match &self.label_weights {
            _ if self.counts.is_empty() => 0.0,
            Some(weights) if self.multi_label => {
                let total = weights.iter().map(|&w| f64::from(w)).sum();
                ratio(areas.zip(weights).map(|(area, &w)| area * f64::from(w)).sum(), total)
            }
            _ => areas.sum::<f64>() / self.counts.len() as f64,
        }
    }

    fn reset(&mut self) {
        self.counts.clear();
    }

    fn state(&self) -> Vec<f64> {
        self.counts.iter().flatten().flat_map(|counts| counts.to_array()).collect()
    }

    fn restore(&mut self, state: &[f64]) -> bool {
        let (counts, rest) = state.as_chunks();
        let counts: Vec<Counts> = counts.iter().copied().map(Counts::from_array).collect();
        let curves = counts.chunks_exact(self.thresholds.len().max(1));
        let whole = rest.is_empty() && curves.remainder().is_empty();
        self.counts = curves.map(<[Counts]>::to_vec).collect();
        whole
    }

    fn honours_mask(&self) -> bool {
        false
    }
}

/// Adds the sums of buckets: a prediction is positive at all thresholds below its bucket.
fn add_buckets(counts: &mut [Counts], buckets: &[(f64, f64)]) {
    let (mut positive, mut negative) = ((0.0, 0.0), (0.0, 0.0));
    for bucket in buckets {
        negative = (negative.0 + bucket.0, negative.1 + bucket.1);
    }
    for (counts, bucket) in counts.iter_mut().zip(buckets.iter().skip(1)).rev() {
        positive = (positive.0 + bucket.0, positive.1 + bucket.1);
        counts.true_positives += positive.0;
        counts.false_positives += positive.1;
        counts.false_negatives += negative.0 - positive.0;
        counts.true_negatives += negative.1 - positive.1;
    }
}

impl Auc {
    /// How many thresholds a prediction is above.
    fn passed(&self, prediction: f32) -> usize {
        let p = if self.from_logits { 1.0 / (1.0 + (-prediction).exp()) } else { prediction };
        if self.even {
            let last = self.thresholds.len().saturating_sub(1);
            // The first threshold is below 0, so that every prediction is above it.
            let bucket = (p.clamp(0.0, 1.0) * last as f32).ceil() - 1.0;
            return bucket.max(0.0) as usize + 1;
        }
        self.thresholds.iter().filter(|&&threshold| p > threshold).count()
    }

    fn area(&self, counts: &[Counts]) -> f64 {
        if (self.curve, self.summation) == (Curve::Pr, Summation::Interpolation) {
            return counts.windows(2).map(|pair| interpolated(pair[0], pair[1])).sum();
        }
        let points: Vec<(f64, f64)> = counts.iter().map(|&counts| self.point(counts)).collect();
        let strip = |pair: &[(f64, f64)]| {
            let ((x, y), (next_x, next_y)) = (pair[0], pair[1]);
            let height = match self.summation {
                Summation::Interpolation => (y + next_y) / 2.0,
                Summation::Minoring => y.min(next_y),
                Summation::Majoring => y.max(next_y),
            };
            (x - next_x) * height
        };
        points.windows(2).map(strip).sum()
    }

    fn point(&self, counts: Counts) -> (f64, f64) {
        let Counts { true_positives, false_positives, true_negatives, false_negatives } = counts;
        let positives = true_positives + false_negatives;
        let negatives = true_negatives + false_positives;
        let recall = ratio(true_positives, positives);
        match self.curve {
            Curve::Roc => (ratio(false_positives, negatives), recall),
            Curve::Pr => (recall, ratio(true_positives, true_positives + false_positives)),
            Curve::PrGain if true_positives == 0.0 => (0.0, 1.0),
            Curve::PrGain => {
                let scale = ratio(positives, negatives);
                let recall_gain = 1.0 - scale * (false_negatives / true_positives);
                (recall_gain.max(0.0), 1.0 - scale * (false_positives / true_positives))
            }
        }
    }
}

/// A strip of the precision-recall curve, whose precision is interpolated by true positives over
/// all positives.
fn interpolated(low: Counts, high: Counts) -> f64 {
    let positives = |counts: Counts| counts.true_positives + counts.false_positives;
    let (p, next_p) = (positives(low), positives(high));
    let step = low.true_positives - high.true_positives;
    let slope = ratio(step, (p - next_p).max(0.0));
    let intercept = high.true_positives - slope * next_p;
    let safe = if p > 0.0 && next_p > 0.0 { p / next_p } else { 1.0 };
    let total = (high.true_positives + high.false_negatives).max(0.0);
    ratio(slope * (step + intercept * safe.ln()), total)
}
