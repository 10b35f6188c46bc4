//! The plain definitions of the losses; gradients are checked against their differences.

use super::sparse_categorical_crossentropy::SparseCall;
use super::{ClassId, EPSILON, LARGEST_PROBABILITY, Loss, LossCall};
use crate::Real;

/// The loss of every sample, `[samples]`, computed in `R`.
pub fn forward<T: Real, R: Real>(loss: Loss, call: LossCall<T>) -> Vec<R> {
    let LossCall { y_true, y_pred, classes } = call;
    let convert = |row: &[T]| row.iter().map(|v| R::from_f64(v.to_f64())).collect::<Vec<R>>();
    let signed = y_true.iter().any(|v| v.to_f64() != 0.0 && v.to_f64() != 1.0);
    let rows = y_true.chunks_exact(classes.max(1)).zip(y_pred.chunks_exact(classes.max(1)));
    rows.map(|(y, p)| sample(loss, &convert(y), &convert(p), signed)).collect()
}

fn real<R: Real>(value: impl Into<f64>) -> R {
    R::from_f64(value.into())
}

fn clip<R: Real>(p: R, low: f32, high: f32) -> R {
    p.at_least(real(low)).at_most(real(high))
}

/// `ln Σ exp(x)`.
fn log_sum<R: Real>(x: &[R]) -> R {
    let max = x.iter().fold(real(f64::NEG_INFINITY), |max: R, &v| max.at_least(v));
    max + x.iter().map(|&v| (v - max).exp()).sum::<R>().ln()
}

fn sample<R: Real>(loss: Loss, y: &[R], p: &[R], signed: bool) -> R {
    let (one, zero, count) = (R::one(), R::zero(), real::<R>(p.len() as f64));
    let sum = |f: &dyn Fn(R, R) -> R| y.iter().zip(p).map(|(&y, &p)| f(y, p)).sum::<R>();
    let mean = |f: &dyn Fn(R, R) -> R| sum(f) / count;
    let label = |y: R| if signed { y } else { y + y - one };
    match loss {
        Loss::BinaryCrossentropy { from_logits, label_smoothing } => {
            let s = real::<R>(label_smoothing);
            mean(&|y, p| {
                let y = y * (one - s) + s * real(0.5);
                if from_logits {
                    return p.at_least(zero) - p * y + (-p.abs()).exp().ln_1p();
                }
                let p = clip(p, EPSILON, LARGEST_PROBABILITY);
                -(y * p.ln() + (one - y) * (one - p).ln())
            })
        }
        Loss::CategoricalCrossentropy { from_logits, label_smoothing } => {
            let s = real::<R>(label_smoothing);
            let (log, total) = (log_sum(p), p.iter().copied().sum::<R>());
            sum(&|y, p| {
                let y = y * (one - s) + s / count;
                if from_logits {
                    return y * (log - p);
                }
                -y * clip(p / total, EPSILON, LARGEST_PROBABILITY).ln()
            })
        }
        Loss::MeanSquaredError => mean(&|y, p| (y - p) * (y - p)),
        Loss::MeanAbsoluteError => mean(&|y, p| (y - p).abs()),
        Loss::MeanAbsolutePercentageError => {
            mean(&|y, p| real::<R>(100.0) * ((y - p) / y.abs().at_least(real(EPSILON))).abs())
        }
        Loss::MeanSquaredLogarithmicError => mean(&|y, p| {
            let log = |v: R| (v.at_least(real(EPSILON)) + one).ln();
            (log(p) - log(y)) * (log(p) - log(y))
        }),
        Loss::Huber { delta } => mean(&|y, p| {
            let (error, delta, half) = ((p - y).abs(), real::<R>(delta), real::<R>(0.5));
            if error <= delta { half * error * error } else { delta * error - half * delta * delta }
        }),
        Loss::LogCosh => mean(&|y, p| {
            let error = (p - y).abs();
            error + (-(error + error)).exp().ln_1p() - real(std::f64::consts::LN_2)
        }),
        Loss::Hinge => mean(&|y, p| (one - label(y) * p).at_least(zero)),
        Loss::SquaredHinge => mean(&|y, p| {
            let margin = (one - label(y) * p).at_least(zero);
            margin * margin
        }),
        Loss::CategoricalHinge => {
            let negative = y.iter().zip(p).map(|(&y, &p)| (one - y) * p);
            let negative = negative.fold(real(f64::NEG_INFINITY), |a: R, b| a.at_least(b));
            (negative - sum(&|y, p| y * p) + one).at_least(zero)
        }
        Loss::KlDivergence => sum(&|y, p| {
            let (y, p) = (clip(y, EPSILON, 1.0), clip(p, EPSILON, 1.0));
            y * (y / p).ln()
        }),
        Loss::Poisson => mean(&|y, p| p - y * (p + real(EPSILON)).ln()),
        Loss::CosineSimilarity => {
            let inverse = |x: &[R]| {
                let norm = x.iter().map(|&v| v * v).sum::<R>().sqrt();
                (one / norm).at_most(one / real(EPSILON))
            };
            let scale = inverse(y) * inverse(p);
            -sum(&|y, p| y * p) * scale
        }
    }
}

/// The loss of every sample whose target is the id of a class, `[samples]`, computed in `R`.
/// Ids must name a class or be ignored.
pub fn sparse_forward<I: ClassId, T: Real, R: Real>(call: SparseCall<I, T>) -> Vec<R> {
    let SparseCall { ids, y_pred, classes, from_logits, ignore_class } = call;
    let rows = ids.iter().zip(y_pred.chunks_exact(classes.max(1)));
    rows.map(|(&id, row)| {
        let id: i64 = id.into();
        if ignore_class == Some(id) {
            return R::zero();
        }
        let logit = |v: &T| {
            let v = real::<R>(v.to_f64());
            if from_logits { v } else { clip(v, EPSILON, LARGEST_PROBABILITY).ln() }
        };
        let logits: Vec<R> = row.iter().map(logit).collect();
        log_sum(&logits) - logits[id as usize]
    })
    .collect()
}
