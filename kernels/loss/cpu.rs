//! The fast forms' drivers: samples in blocks, and in a block row by row.

use super::binary_crossentropy::{BinaryFromLogits, BinaryFromProbabilities};
use super::categorical_crossentropy::{CategoricalFromLogits, CategoricalFromProbabilities};
use super::categorical_hinge::CategoricalHinge;
use super::cosine_similarity::CosineSimilarity;
use super::hinge::{Hinge, Labels};
use super::huber::Huber;
use super::kl_divergence::KlDivergence;
use super::log_cosh::LogCosh;
use super::mean_absolute_error::MeanAbsoluteError;
use super::mean_absolute_percentage_error::MeanAbsolutePercentageError;
use super::mean_squared_error::MeanSquaredError;
use super::mean_squared_logarithmic_error::MeanSquaredLogarithmicError;
use super::poisson::Poisson;
use super::squared_hinge::SquaredHinge;
use super::{Loss, LossCall};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};

/// Values that one block works on, roughly.
const BLOCK: usize = 8 * 1024;

/// A loss of one sample, from its row of targets and its row of predictions.
pub(super) trait RowLoss: Copy + Send + Sync {
    /// The sample's loss.
    fn loss<S: Simd>(self, y_true: &[f32], y_pred: &[f32]) -> f32;

    /// Writes `upstream` times the derivative of the loss with respect to each prediction.
    fn gradient<S: Simd>(self, y_true: &[f32], y_pred: &[f32], upstream: f32, out: &mut [f32]);
}

/// A loss of one value; a sample's is the mean over its row.
pub(super) trait PointLoss: Copy + Send + Sync {
    /// The loss of one value.
    fn value<S: Simd>(self, y_true: f32, y_pred: f32) -> f32;

    /// Its derivative with respect to the prediction.
    fn slope<S: Simd>(self, y_true: f32, y_pred: f32) -> f32;
}

/// The mean of a [`PointLoss`] over a row.
#[derive(Clone, Copy)]
struct Mean<P>(P);

/// Partial sums kept side by side, so that the compiler can vectorise a row.
const LANES: usize = 16;

impl<P: PointLoss> RowLoss for Mean<P> {
    #[inline(always)]
    fn loss<S: Simd>(self, y_true: &[f32], y_pred: &[f32]) -> f32 {
        let mut lanes = [0.0f32; LANES];
        for (y_true, y_pred) in y_true.chunks(LANES).zip(y_pred.chunks(LANES)) {
            for ((lane, &y), &p) in lanes.iter_mut().zip(y_true).zip(y_pred) {
                *lane += self.0.value::<S>(y, p);
            }
        }
        lanes.iter().sum::<f32>() / y_pred.len() as f32
    }

    #[inline(always)]
    fn gradient<S: Simd>(self, y_true: &[f32], y_pred: &[f32], upstream: f32, out: &mut [f32]) {
        let upstream = upstream / y_pred.len() as f32;
        for ((out, &y), &p) in out.iter_mut().zip(y_true).zip(y_pred) {
            *out = upstream * self.0.slope::<S>(y, p);
        }
    }
}

/// Writes the loss of every sample to `losses`, `[samples]`.
///
/// # Panics
/// If a length does not fit.
pub fn forward(cpu: Cpu, loss: Loss, call: LossCall, losses: &mut [f32]) {
    dispatch(cpu, loss, call, Task::Forward { losses });
}

/// Writes the gradient with respect to the predictions to `gradient`, `[samples, classes]`, given
/// that of each sample's loss, `upstream`, `[samples]`.
///
/// # Panics
/// If a length does not fit.
pub fn backward(cpu: Cpu, loss: Loss, call: LossCall, upstream: &[f32], gradient: &mut [f32]) {
    dispatch(cpu, loss, call, Task::Backward { upstream, gradient });
}

/// What is asked for.
enum Task<'a> {
    Forward { losses: &'a mut [f32] },
    Backward { upstream: &'a [f32], gradient: &'a mut [f32] },
}

fn dispatch(cpu: Cpu, loss: Loss, call: LossCall, task: Task) {
    match loss {
        Loss::BinaryCrossentropy { from_logits: true, label_smoothing } => {
            run(cpu, Mean(BinaryFromLogits { label_smoothing }), call, task);
        }
        Loss::BinaryCrossentropy { from_logits: false, label_smoothing } => {
            run(cpu, Mean(BinaryFromProbabilities { label_smoothing }), call, task);
        }
        Loss::CategoricalCrossentropy { from_logits: true, label_smoothing } => {
            run(cpu, CategoricalFromLogits { label_smoothing }, call, task);
        }
        Loss::CategoricalCrossentropy { from_logits: false, label_smoothing } => {
            run(cpu, CategoricalFromProbabilities { label_smoothing }, call, task);
        }
        Loss::MeanSquaredError => run(cpu, Mean(MeanSquaredError), call, task),
        Loss::MeanAbsoluteError => run(cpu, Mean(MeanAbsoluteError), call, task),
        Loss::MeanAbsolutePercentageError => {
            run(cpu, Mean(MeanAbsolutePercentageError), call, task);
        }
        Loss::MeanSquaredLogarithmicError => {
            run(cpu, Mean(MeanSquaredLogarithmicError), call, task);
        }
        Loss::Huber { delta } => run(cpu, Mean(Huber { delta }), call, task),
        Loss::LogCosh => run(cpu, Mean(LogCosh), call, task),
        Loss::Hinge => run(cpu, Mean(Hinge(Labels::of(call.y_true))), call, task),
        Loss::SquaredHinge => run(cpu, Mean(SquaredHinge(Labels::of(call.y_true))), call, task),
        Loss::CategoricalHinge => run(cpu, CategoricalHinge, call, task),
        Loss::KlDivergence => run(cpu, KlDivergence, call, task),
        Loss::Poisson => run(cpu, Mean(Poisson), call, task),
        Loss::CosineSimilarity => run(cpu, CosineSimilarity, call, task),
    }
}

fn run<L: RowLoss>(cpu: Cpu, loss: L, call: LossCall, task: Task) {
    let LossCall { y_true, y_pred, classes } = call;
    assert_eq!(y_true.len(), y_pred.len(), "loss: as many targets as predictions");
    match task {
        Task::Forward { losses } => {
            assert_eq!(y_pred.len(), losses.len() * classes, "loss: the losses' length");
            let group = (BLOCK / classes.max(1)).max(1);
            cpu.pool.for_each_chunk(losses, group, &|block, losses: &mut [f32]| {
                let start = block * group * classes;
                let range = start..start + losses.len() * classes;
                let call =
                    LossCall { y_true: &y_true[range.clone()], y_pred: &y_pred[range], classes };
                cpu.isa.run(Forward { loss, call, losses });
            });
        }
        Task::Backward { upstream, gradient } => {
            assert_eq!(y_pred.len(), upstream.len() * classes, "loss: the upstream's length");
            assert_eq!(y_pred.len(), gradient.len(), "loss: the gradient's length");
            let group = (BLOCK / classes.max(1)).max(1);
            let parts = DisjointMut::new(gradient);
            cpu.pool.for_each(upstream.len().div_ceil(group), &|block| {
                let samples = block * group..upstream.len().min((block + 1) * group);
                let range = samples.start * classes..samples.end * classes;
                // SAFETY: blocks write disjoint samples.
                let gradient = unsafe { parts.slice(range.clone()) };
                let call =
                    LossCall { y_true: &y_true[range.clone()], y_pred: &y_pred[range], classes };
                cpu.isa.run(Backward { loss, call, upstream: &upstream[samples], gradient });
            });
        }
    }
}

struct Forward<'a, L> {
    loss: L,
    call: LossCall<'a>,
    losses: &'a mut [f32],
}

impl<L: RowLoss> Kernel for Forward<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let LossCall { y_true, y_pred, classes } = self.call;
        for (sample, out) in self.losses.iter_mut().enumerate() {
            let row = sample * classes..(sample + 1) * classes;
            *out = self.loss.loss::<S>(&y_true[row.clone()], &y_pred[row]);
        }
    }
}

struct Backward<'a, L> {
    loss: L,
    call: LossCall<'a>,
    upstream: &'a [f32],
    gradient: &'a mut [f32],
}

impl<L: RowLoss> Kernel for Backward<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let LossCall { y_true, y_pred, classes } = self.call;
        for (sample, &upstream) in self.upstream.iter().enumerate() {
            let row = sample * classes..(sample + 1) * classes;
            let out = &mut self.gradient[row.clone()];
            self.loss.gradient::<S>(&y_true[row.clone()], &y_pred[row], upstream, out);
        }
    }
}
