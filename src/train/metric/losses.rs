//! Losses as metrics: their mean over all samples.

use super::mean::{Mean, run_of_weights};
use super::{Batch, Metric, MetricError};
use crate::graph::Tensor;
use seqfuse_kernels::loss::sparse_categorical_crossentropy::SparseCall;
use seqfuse_kernels::loss::{ClassOutOfRange, Loss, LossCall, reference};

/// What is averaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Loss(Loss),
    /// The cosine similarity itself, not negated.
    CosineSimilarity,
    Sparse {
        from_logits: bool,
        ignore_class: Option<i64>,
    },
    /// The root of the mean of squares.
    RootMeanSquare,
}

#[derive(Debug)]
pub(super) struct LossMetric {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) mean: Mean,
}

impl Metric for LossMetric {
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
        match self.kind {
            Kind::Loss(loss) => self.means(&batch, loss, 1.0, weights),
            Kind::CosineSimilarity => self.means(&batch, Loss::CosineSimilarity, -1.0, weights),
            Kind::Sparse { from_logits, ignore_class } => {
                self.sparse(&batch, (from_logits, ignore_class), weights)
            }
            Kind::RootMeanSquare => {
                let shape = batch.same(&self.name)?;
                let pairs = batch.y_true.iter().zip(&batch.y_pred);
                let squares: Vec<f64> =
                    pairs.map(|(&y, &p)| (f64::from(p) - f64::from(y)).powi(2)).collect();
                self.mean.add(&self.name, &squares, shape, weights)
            }
        }
    }

    fn result(&self) -> f64 {
        let mean = self.mean.result();
        if self.kind == Kind::RootMeanSquare { mean.sqrt() } else { mean }
    }

    fn reset(&mut self) {
        self.mean = Mean::default();
    }

    fn state(&self) -> Vec<f64> {
        self.mean.state()
    }

    fn restore(&mut self, state: &[f64]) -> bool {
        self.mean.restore(state)
    }

    fn honours_mask(&self) -> bool {
        self.kind != Kind::RootMeanSquare
    }

    fn take_logits(&mut self) -> bool {
        match &mut self.kind {
            Kind::Loss(
                Loss::BinaryCrossentropy { from_logits, .. }
                | Loss::CategoricalCrossentropy { from_logits, .. },
            )
            | Kind::Sparse { from_logits, .. } => *from_logits = true,
            _ => return false,
        }
        true
    }
}

impl LossMetric {
    fn means(
        &mut self,
        batch: &Batch,
        loss: Loss,
        sign: f64,
        weights: Option<&[f32]>,
    ) -> Result<(), MetricError> {
        batch.same(&self.name)?;
        // Predictions without an axis of values get one where the targets have one.
        let expanded = batch.true_shape.len() == batch.pred_shape.len() + 1;
        let shape = if expanded { &batch.true_shape } else { &batch.pred_shape };
        let (&classes, leading) =
            shape.split_last().ok_or_else(|| batch.mismatch(&self.name, "one axis or more"))?;
        let call = LossCall { y_true: &batch.y_true[..], y_pred: &batch.y_pred[..], classes };
        let mut values: Vec<f64> = reference::forward(loss, call);
        values.iter_mut().for_each(|value| *value *= sign);
        self.mean.add(&self.name, &values, leading, weights)
    }

    fn sparse(
        &mut self,
        batch: &Batch,
        (from_logits, ignore_class): (bool, Option<i64>),
        weights: Option<&[f32]>,
    ) -> Result<(), MetricError> {
        let (leading, classes) = batch.rows(&self.name)?;
        let shape = &batch.true_shape[..];
        if classes == 0 || !(shape == leading || shape.split_last() == Some((&1, leading))) {
            return Err(batch.mismatch(&self.name, "a target for each row of predictions"));
        }
        let ids: Vec<i64> = batch.y_true.iter().map(|&id| id as i64).collect();
        for (sample, &id) in ids.iter().enumerate() {
            let inside = usize::try_from(id).is_ok_and(|id| id < classes);
            if !inside && ignore_class != Some(id) {
                let source = ClassOutOfRange { sample, id, classes };
                return Err(MetricError::Class { metric: self.name.clone(), source });
            }
        }
        let (ids, y_pred) = (&ids[..], &batch.y_pred[..]);
        let call = SparseCall { ids, y_pred, classes, from_logits, ignore_class };
        let values: Vec<f64> = reference::sparse_forward(call);
        // Keras leaves ignored samples out of the count where there are weights, and only there.
        match (weights, ignore_class) {
            (Some(weights), Some(ignored)) => {
                let run = run_of_weights(&self.name, leading, weights.len())?;
                let kept = |(i, &id): (usize, &i64)| {
                    if id == ignored { 0.0 } else { weights[i / run] }
                };
                let weights: Vec<f32> = ids.iter().enumerate().map(kept).collect();
                self.mean.add(&self.name, &values, leading, Some(&weights))
            }
            _ => self.mean.add(&self.name, &values, leading, weights),
        }
    }
}
