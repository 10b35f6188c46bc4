//! How often predictions are right.

use super::mean::Mean;
use super::{Batch, Metric, MetricError};
use crate::graph::Tensor;

/// What counts as right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// The prediction equals the target.
    Equal,
    /// Whether the prediction is above a threshold equals the target.
    Binary { threshold: f32 },
    /// The largest prediction stands where the largest target does.
    Categorical,
    /// The largest prediction stands where the target says.
    Sparse,
    /// Fewer than `k` predictions are above that of the largest target.
    TopK { k: usize },
    /// Fewer than `k` predictions are above that which the target names.
    SparseTopK { k: usize },
}

#[derive(Debug)]
pub(super) struct Accuracy {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) mean: Mean,
}

impl Metric for Accuracy {
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
        let (matches, shape) = match self.kind {
            Kind::Equal => self.elements(&batch, |y, p| y == p)?,
            Kind::Binary { threshold } => {
                self.elements(&batch, |y, p| y == f32::from(u8::from(p > threshold)))?
            }
            _ => self.rows(&batch)?,
        };
        self.mean.add(&self.name, &matches, &shape, weights)
    }

    fn result(&self) -> f64 {
        self.mean.result()
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
}

impl Accuracy {
    fn elements(
        &self,
        batch: &Batch,
        right: impl Fn(f32, f32) -> bool,
    ) -> Result<(Vec<f64>, Vec<usize>), MetricError> {
        let shape = batch.same(&self.name)?.to_vec();
        let pairs = batch.y_true.iter().zip(&batch.y_pred);
        Ok((pairs.map(|(&y, &p)| f64::from(u8::from(right(y, p)))).collect(), shape))
    }

    fn rows(&self, batch: &Batch) -> Result<(Vec<f64>, Vec<usize>), MetricError> {
        let (leading, classes) = batch.rows(&self.name)?;
        let samples: usize = leading.iter().product();
        let rows = batch.y_pred.chunks(classes.max(1));
        let onehot = matches!(self.kind, Kind::Categorical | Kind::TopK { .. });
        let fits = if onehot {
            batch.true_shape == batch.pred_shape
        } else {
            let shape = &batch.true_shape[..];
            shape == leading || shape.split_last() == Some((&1, leading))
        };
        if !fits || classes == 0 {
            let expected =
                if onehot { "equal shapes" } else { "a target for each row of predictions" };
            return Err(batch.mismatch(&self.name, expected));
        }
        let targets: Vec<f32> = if onehot {
            batch.y_true.chunks(classes).map(|row| largest(row) as f32).collect()
        } else {
            batch.y_true.clone()
        };
        debug_assert_eq!(targets.len(), samples);
        let right = |row: &[f32], target: f32| match self.kind {
            Kind::TopK { k } | Kind::SparseTopK { k } => in_top(row, target as i64, k),
            _ => largest(row) as f32 == target,
        };
        let matches = rows.zip(&targets).map(|(row, &t)| f64::from(u8::from(right(row, t))));
        Ok((matches.collect(), leading.to_vec()))
    }
}

/// Where the largest value stands; the first of equals.
fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (index, &value) in row.iter().enumerate() {
        if value > row[best] {
            best = index;
        }
    }
    best
}

/// TensorFlow's `in_top_k`: never where the target names no class, or where it or one of the
/// predictions is not finite.
fn in_top(row: &[f32], target: i64, k: usize) -> bool {
    let Some(&own) = usize::try_from(target).ok().and_then(|target| row.get(target)) else {
        return false;
    };
    let above = row.iter().filter(|&&value| value > own).count();
    row.iter().all(|value| value.is_finite()) && above < k
}
