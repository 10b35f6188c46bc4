//! Metrics: what Keras reports beside the loss, accumulated over batches.
//!
//! Definitions, names and defaults are those of `keras/src/metrics` of Keras 3.15. Keras keeps
//! its totals in `f32`, these are `f64`; comparisons are made in `f32`, as Keras makes them.

mod accuracy;
mod auc;
mod confusion;
mod f_score;
mod losses;
mod mean;
mod names;
#[cfg(test)]
mod tests;

use crate::graph::Tensor;
pub(crate) use names::direction;
pub use names::{Direction, from_keras};
use seqfuse_kernels::loss::ClassOutOfRange;
use std::fmt::Debug;

/// A quantity over all batches since the last [`reset`](Metric::reset).
pub trait Metric: Debug + Send {
    /// The name that it is reported under.
    fn name(&self) -> &str;

    /// Takes a batch in. Axis 0 of both tensors counts the samples.
    ///
    /// `weights` has a value for every sample, `[batch]`, or for every entry of more leading axes
    /// of what the metric averages, such as `[batch, time]`; a mask is a weight of 0 or 1.
    ///
    /// # Errors
    /// If shapes or numbers of weights do not fit, or a target names no class.
    fn update(
        &mut self,
        y_true: &Tensor,
        y_pred: &Tensor,
        weights: Option<&[f32]>,
    ) -> Result<(), MetricError>;

    /// The value over all batches; 0 before the first.
    fn result(&self) -> f64;

    /// Forgets all batches.
    fn reset(&mut self);

    /// What was taken in so far, as numbers.
    fn state(&self) -> Vec<f64>;

    /// Goes on from what [`state`](Metric::state) gave; says whether it was of such a metric.
    fn restore(&mut self, state: &[f64]) -> bool;

    /// Whether Keras weights this metric by the mask of the predictions. Where it does not, every
    /// step counts, masked or not.
    fn honours_mask(&self) -> bool {
        true
    }

    /// Makes a crossentropy take logits from now on and says whether this is one: Keras computes
    /// these from the logits where the output is a sigmoid or a softmax, whichever of the two.
    fn take_logits(&mut self) -> bool {
        false
    }
}

/// Why a batch does not fit a metric.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// Targets and predictions do not go together.
    #[error(
        "metric '{metric}' cannot compare targets of shape {y_true:?} with predictions of shape \
         {y_pred:?}; it takes {expected}"
    )]
    Shapes {
        /// The metric's name.
        metric: String,
        /// The shape of the targets.
        y_true: Vec<usize>,
        /// The shape of the predictions.
        y_pred: Vec<usize>,
        /// What it takes.
        expected: &'static str,
    },
    /// There are too many or too few weights.
    #[error(
        "metric '{metric}' averages values of shape {values:?}, which {weights} weights do not \
         fit; give one for each entry of its leading axes"
    )]
    Weights {
        /// The metric's name.
        metric: String,
        /// The shape of what it averages.
        values: Vec<usize>,
        /// How many weights there are.
        weights: usize,
    },
    /// Targets or predictions are text.
    #[error("metric '{metric}' compares numbers; its {what} are text")]
    Text {
        /// The metric's name.
        metric: String,
        /// `targets` or `predictions`.
        what: &'static str,
    },
    /// A target names no class.
    #[error("metric '{metric}': {source}")]
    Class {
        /// The metric's name.
        metric: String,
        /// Which one.
        source: ClassOutOfRange,
    },
}

/// A batch in `f32`.
struct Batch {
    y_true: Vec<f32>,
    y_pred: Vec<f32>,
    true_shape: Vec<usize>,
    pred_shape: Vec<usize>,
}

impl Batch {
    fn of(metric: &str, y_true: &Tensor, y_pred: &Tensor) -> Result<Batch, MetricError> {
        let text = |what| MetricError::Text { metric: metric.to_owned(), what };
        Ok(Batch {
            y_true: floats(y_true).ok_or_else(|| text("targets"))?,
            y_pred: floats(y_pred).ok_or_else(|| text("predictions"))?,
            true_shape: y_true.shape().to_vec(),
            pred_shape: y_pred.shape().to_vec(),
        })
    }

    fn mismatch(&self, metric: &str, expected: &'static str) -> MetricError {
        let (y_true, y_pred) = (self.true_shape.clone(), self.pred_shape.clone());
        MetricError::Shapes { metric: metric.to_owned(), y_true, y_pred, expected }
    }

    /// Checks that there are as many targets as predictions, in shapes that differ by axes of 1
    /// at the end at most (Keras squeezes or expands one), and gives the values' shape.
    fn same(&self, metric: &str) -> Result<&[usize], MetricError> {
        let trim = |shape: &[usize]| {
            let kept = shape.iter().rposition(|&size| size != 1).map_or(0, |last| last + 1);
            shape[..kept].to_vec()
        };
        if trim(&self.true_shape) == trim(&self.pred_shape) {
            Ok(&self.pred_shape)
        } else {
            Err(self.mismatch(metric, "equal shapes"))
        }
    }

    /// The shape of predictions as rows of classes, leading axes and classes apart.
    fn rows(&self, metric: &str) -> Result<(&[usize], usize), MetricError> {
        let (classes, leading) =
            self.pred_shape.split_last().ok_or_else(|| self.mismatch(metric, "rows of classes"))?;
        Ok((leading, *classes))
    }
}

/// The elements in `f32`; nothing for text.
fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    tensor.data().to_f32()
}
