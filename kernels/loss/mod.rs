//! Losses: the loss of every sample, and its gradient with respect to the predictions.
//!
//! Targets and predictions are `[samples, classes]`, leading axes flattened, and the losses are
//! `[samples]`: what Keras's loss functions give before sample weights, masks and the reduction
//! over the batch. The backward form takes the gradient of each sample's loss, `[samples]`, in
//! which weights and the reduction's divisor stand, and overwrites `[samples, classes]`.
//!
//! Formulas, clips and defaults are those of `keras/src/losses/losses.py` and of the TensorFlow
//! backend (`keras/src/backend/tensorflow/nn.py`) of Keras 3.15; gradients at kinks are
//! TensorFlow's. Integer targets are in [`sparse_categorical_crossentropy`].

mod binary_crossentropy;
mod categorical_crossentropy;
mod categorical_hinge;
mod cosine_similarity;
mod cpu;
mod hinge;
mod huber;
#[cfg(test)]
mod keras_fixtures;
mod kl_divergence;
mod log_cosh;
mod mean_absolute_error;
mod mean_absolute_percentage_error;
mod mean_squared_error;
mod mean_squared_logarithmic_error;
mod poisson;
pub mod reference;
pub mod sparse_categorical_crossentropy;
mod squared_hinge;
#[cfg(test)]
mod tests;

pub use cpu::{backward, forward};
pub use sparse_categorical_crossentropy::{ClassId, ClassOutOfRange};

/// Keras's `backend.epsilon()`, in `f32`, the type that Keras clips in.
pub const EPSILON: f32 = 1e-7;

/// The largest probability that crossentropies take a logarithm of: `1 - 1e-7`, rounded to `f32`.
pub const LARGEST_PROBABILITY: f32 = 0.999_999_9;

/// A loss whose targets are numbers, with its options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// `mean(-y ln p - (1 - y) ln(1 - p))`.
    BinaryCrossentropy {
        /// Whether the predictions are logits, `p = sigmoid(x)`. If not, they are clipped to
        /// [`EPSILON`]..=[`LARGEST_PROBABILITY`], outside of which the gradient is 0.
        from_logits: bool,
        /// `s` in `y (1 - s) + s / 2`, which the targets become; 0 by default.
        label_smoothing: f32,
    },
    /// `-Σ y ln p`.
    CategoricalCrossentropy {
        /// Whether the predictions are logits, `p = softmax(x)`. If not, they are divided by
        /// their sum and clipped to [`EPSILON`]..=[`LARGEST_PROBABILITY`].
        ///
        /// TensorFlow's gradient with respect to logits is `p - y`, whatever the targets' sum.
        from_logits: bool,
        /// `s` in `y (1 - s) + s / classes`, which the targets become; 0 by default.
        label_smoothing: f32,
    },
    /// `mean((y - p)²)`.
    MeanSquaredError,
    /// `mean(|y - p|)`, with the gradient 0 where they are equal.
    MeanAbsoluteError,
    /// `100 mean(|y - p| / max(|y|, ε))`.
    MeanAbsolutePercentageError,
    /// `mean((ln(max(p, ε) + 1) - ln(max(y, ε) + 1))²)`.
    MeanSquaredLogarithmicError,
    /// The mean of `e² / 2` for `|e| <= δ`, of `δ |e| - δ² / 2` beyond, with `e = p - y`.
    Huber {
        /// δ, where the square ends; 1 by default.
        delta: f32,
    },
    /// `mean(ln cosh(p - y))`.
    LogCosh,
    /// `mean(max(1 - y p, 0))`. Targets that are 0 or 1 throughout are taken as -1 and 1.
    Hinge,
    /// `mean(max(1 - y p, 0)²)`, with targets as for [`Loss::Hinge`].
    SquaredHinge,
    /// `max(max((1 - y) p) - Σ y p + 1, 0)`.
    CategoricalHinge,
    /// `Σ y ln(y / p)`, both clipped to ε..=1.
    KlDivergence,
    /// `mean(p - y ln(p + ε))`.
    Poisson,
    /// `-Σ (y / |y|) (p / |p|)`, where `1 / |·|` is at most `1 / ε`.
    CosineSimilarity,
}

/// What [`forward`] and [`backward`] read.
#[derive(Clone, Copy, Debug)]
pub struct LossCall<'a, T = f32> {
    /// The targets, `[samples, classes]`.
    pub y_true: &'a [T],
    /// The predictions (or logits), `[samples, classes]`.
    pub y_pred: &'a [T],
    /// Values in a sample.
    pub classes: usize,
}
