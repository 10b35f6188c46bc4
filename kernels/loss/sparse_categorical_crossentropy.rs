//! Categorical crossentropy whose targets are the ids of classes.

use super::binary_crossentropy::{clip, is_clipped};
use super::categorical_crossentropy::log_sum_parts;
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut, lanes};
use std::fmt;

/// Values that one block works on, roughly.
const BLOCK: usize = 8 * 1024;

/// An integer that names a class: `i32` or `i64`.
pub trait ClassId: Copy + Send + Sync + Into<i64> {}

impl ClassId for i32 {}
impl ClassId for i64 {}

/// What [`forward`] and [`backward`] read.
#[derive(Clone, Copy, Debug)]
pub struct SparseCall<'a, I, T = f32> {
    /// The class of each sample, `[samples]`, in `0..classes` or `ignore_class`.
    pub ids: &'a [I],
    /// The predictions (or logits), `[samples, classes]`.
    pub y_pred: &'a [T],
    /// Values in a sample.
    pub classes: usize,
    /// Whether the predictions are logits: the loss is `ln Σ exp(x) - x[id]`. If not, it is
    /// `ln Σ o - ln o[id]` with `o` the predictions clipped to
    /// [`EPSILON`](super::EPSILON)..=[`LARGEST_PROBABILITY`](super::LARGEST_PROBABILITY): Keras
    /// takes the clipped predictions' logarithms as logits.
    pub from_logits: bool,
    /// An id whose samples have the loss 0 and no gradient. Keras also leaves them out of the
    /// divisor of a mean over the batch.
    pub ignore_class: Option<i64>,
}

/// A target names no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassOutOfRange {
    /// Which sample, counted over all leading axes.
    pub sample: usize,
    /// The class that it names.
    pub id: i64,
    /// How many classes there are.
    pub classes: usize,
}

impl fmt::Display for ClassOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let ClassOutOfRange { sample, id, classes } = self;
        write!(
            f,
            "the target of sample {sample} is class {id}, but the predictions have {classes} \
             classes; targets are 0 to classes - 1"
        )
    }
}

impl std::error::Error for ClassOutOfRange {}

/// Writes the loss of every sample to `losses`, `[samples]`.
///
/// # Errors
/// If an id that is not ignored names no class: the first such sample. Nothing is written then.
///
/// # Panics
/// If a length does not fit.
pub fn forward<I: ClassId>(
    cpu: Cpu,
    call: SparseCall<I>,
    losses: &mut [f32],
) -> Result<(), ClassOutOfRange> {
    check(call)?;
    assert_eq!(losses.len(), call.ids.len(), "loss: the losses' length");
    let group = group(call.classes);
    cpu.pool.for_each_chunk(losses, group, &|block, losses: &mut [f32]| {
        let call = call.samples(block * group, losses.len());
        cpu.isa.run(Forward { call, losses });
    });
    Ok(())
}

/// Writes the gradient with respect to the predictions to `gradient`, `[samples, classes]`, given
/// that of each sample's loss, `upstream`, `[samples]`.
///
/// From logits it is `softmax(x) - onehot(id)`; from probabilities `1 / Σo - onehot(id) / o`,
/// and 0 outside the clip.
///
/// # Errors
/// As [`forward`].
///
/// # Panics
/// If a length does not fit.
pub fn backward<I: ClassId>(
    cpu: Cpu,
    call: SparseCall<I>,
    upstream: &[f32],
    gradient: &mut [f32],
) -> Result<(), ClassOutOfRange> {
    check(call)?;
    assert_eq!(upstream.len(), call.ids.len(), "loss: the upstream's length");
    assert_eq!(gradient.len(), call.y_pred.len(), "loss: the gradient's length");
    let group = group(call.classes);
    let parts = DisjointMut::new(gradient);
    cpu.pool.for_each(upstream.len().div_ceil(group), &|block| {
        let samples = block * group..upstream.len().min((block + 1) * group);
        // SAFETY: blocks write disjoint samples.
        let gradient =
            unsafe { parts.slice(samples.start * call.classes..samples.end * call.classes) };
        let call = call.samples(samples.start, samples.len());
        cpu.isa.run(Backward { call, upstream: &upstream[samples], gradient });
    });
    Ok(())
}

/// Samples in a block.
fn group(classes: usize) -> usize {
    (BLOCK / classes.max(1)).max(1)
}

/// Every id names a class, or is ignored.
fn check<I: ClassId>(call: SparseCall<I>) -> Result<(), ClassOutOfRange> {
    let SparseCall { ids, y_pred, classes, ignore_class, .. } = call;
    assert_eq!(y_pred.len(), ids.len() * classes, "loss: the predictions' length");
    for (sample, &id) in ids.iter().enumerate() {
        let id: i64 = id.into();
        let inside = usize::try_from(id).is_ok_and(|id| id < classes);
        if !inside && ignore_class != Some(id) {
            return Err(ClassOutOfRange { sample, id, classes });
        }
    }
    Ok(())
}

impl<'a, I: ClassId> SparseCall<'a, I> {
    /// The part of `count` samples from `first` on.
    fn samples(self, first: usize, count: usize) -> Self {
        let ids = &self.ids[first..first + count];
        let y_pred = &self.y_pred[first * self.classes..(first + count) * self.classes];
        SparseCall { ids, y_pred, ..self }
    }

    /// The class of a sample, unless it is ignored.
    #[inline(always)]
    fn class(self, sample: usize) -> Option<usize> {
        let id: i64 = self.ids[sample].into();
        if self.ignore_class == Some(id) { None } else { usize::try_from(id).ok() }
    }
}

struct Forward<'a, I> {
    call: SparseCall<'a, I>,
    losses: &'a mut [f32],
}

impl<I: ClassId> Kernel for Forward<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let classes = self.call.classes;
        for (sample, out) in self.losses.iter_mut().enumerate() {
            let row = &self.call.y_pred[sample * classes..(sample + 1) * classes];
            *out = match self.call.class(sample) {
                None => 0.0,
                Some(class) if self.call.from_logits => {
                    let (max, sum) = log_sum_parts::<S>(row);
                    sum.ln() - (row[class] - max)
                }
                Some(class) => lanes::sum_by(row, clip).ln() - clip(row[class]).ln(),
            };
        }
    }
}

struct Backward<'a, I> {
    call: SparseCall<'a, I>,
    upstream: &'a [f32],
    gradient: &'a mut [f32],
}

impl<I: ClassId> Kernel for Backward<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let classes = self.call.classes;
        for (sample, &upstream) in self.upstream.iter().enumerate() {
            let row = &self.call.y_pred[sample * classes..(sample + 1) * classes];
            let out = &mut self.gradient[sample * classes..(sample + 1) * classes];
            let Some(class) = self.call.class(sample) else {
                out.fill(0.0);
                continue;
            };
            if self.call.from_logits {
                let (max, sum) = log_sum_parts::<S>(row);
                for (out, &x) in out.iter_mut().zip(row) {
                    *out = upstream * (lanes::exp::<S>(x - max) / sum);
                }
                out[class] = upstream * (lanes::exp::<S>(row[class] - max) / sum - 1.0);
            } else {
                let total = lanes::sum_by(row, clip);
                for (out, &p) in out.iter_mut().zip(row) {
                    *out = if is_clipped(p) { 0.0 } else { upstream / total };
                }
                let p = row[class];
                out[class] = if is_clipped(p) { 0.0 } else { upstream * (1.0 / total - 1.0 / p) };
            }
        }
    }
}
