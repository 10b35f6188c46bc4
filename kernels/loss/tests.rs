//! Losses against Keras, against their plain definitions, and gradients against differences.

use super::keras_fixtures::{CASES, SPARSE_CASES};
use super::sparse_categorical_crossentropy::SparseCall;
use super::*;
use crate::fixtures::{assert_close, each_isa, integers, numbers};
use crate::{Cpu, Isa, Pool};

/// How the numbers that a loss is tested on are made.
#[derive(Clone, Copy, PartialEq)]
enum Domain {
    Any,
    Labels,
    Probabilities,
    Distributions,
    Positive,
}

fn all() -> Vec<(Loss, Domain)> {
    let mut losses = vec![
        (Loss::MeanSquaredError, Domain::Any),
        (Loss::MeanAbsoluteError, Domain::Any),
        (Loss::MeanAbsolutePercentageError, Domain::Any),
        (Loss::MeanSquaredLogarithmicError, Domain::Positive),
        (Loss::Huber { delta: 1.0 }, Domain::Any),
        (Loss::Huber { delta: 0.3 }, Domain::Any),
        (Loss::LogCosh, Domain::Any),
        (Loss::Hinge, Domain::Any),
        (Loss::SquaredHinge, Domain::Labels),
        (Loss::CategoricalHinge, Domain::Labels),
        (Loss::KlDivergence, Domain::Probabilities),
        (Loss::Poisson, Domain::Positive),
        (Loss::CosineSimilarity, Domain::Any),
    ];
    for label_smoothing in [0.0, 0.2] {
        for (from_logits, domain) in [(true, Domain::Distributions), (false, Domain::Probabilities)]
        {
            let loss = Loss::BinaryCrossentropy { from_logits, label_smoothing };
            losses.push((loss, domain));
            let loss = Loss::CategoricalCrossentropy { from_logits, label_smoothing };
            losses.push((loss, domain));
        }
    }
    losses
}

fn data(domain: Domain, samples: usize, classes: usize) -> (Vec<f32>, Vec<f32>) {
    let count = samples * classes;
    let mut y = numbers(count, 3 + count as u64);
    let mut p = numbers(count, 4 + count as u64);
    match domain {
        Domain::Any => p.iter_mut().for_each(|p| *p *= 2.0),
        Domain::Labels => y.iter_mut().for_each(|y| *y = if *y > 0.0 { 1.0 } else { 0.0 }),
        Domain::Probabilities | Domain::Positive => {
            y.iter_mut().chain(&mut p).for_each(|v| *v = 0.5 + 0.45 * *v);
        }
        Domain::Distributions => {
            p.iter_mut().for_each(|p| *p *= 5.0);
            for row in y.chunks_mut(classes.max(1)) {
                let total: f32 = row.iter().map(|v| v.abs()).sum();
                row.iter_mut().for_each(|v| *v = v.abs() / total);
            }
        }
    }
    (y, p)
}

#[test]
fn losses_and_gradients_are_those_of_keras() {
    for &(loss, classes, y_true, y_pred, upstream, losses, gradient) in CASES {
        let call = LossCall { y_true, y_pred, classes };
        for (isa, got) in each_isa(|cpu| {
            let mut out = vec![f32::NAN; losses.len()];
            forward(cpu, loss, call, &mut out);
            out
        }) {
            assert_close(&got, losses, 2e-6, &format!("{isa:?} {loss:?} losses"));
        }
        for (isa, got) in each_isa(|cpu| {
            let mut out = vec![f32::NAN; y_pred.len()];
            backward(cpu, loss, call, upstream, &mut out);
            out
        }) {
            // Keras gives NaN where a norm is 0 only; no case has one.
            assert_close(&got, gradient, 2e-6, &format!("{isa:?} {loss:?} gradient"));
        }
    }
}

#[test]
fn sparse_losses_and_gradients_are_those_of_keras() {
    for &(from_logits, ignore_class, classes, ids, y_pred, upstream, losses, gradient) in
        SPARSE_CASES
    {
        let call = SparseCall { ids, y_pred, classes, from_logits, ignore_class };
        for (isa, got) in each_isa(|cpu| {
            let mut out = vec![f32::NAN; losses.len()];
            sparse_categorical_crossentropy::forward(cpu, call, &mut out).unwrap();
            out
        }) {
            assert_close(&got, losses, 2e-6, &format!("{isa:?} {from_logits} {ignore_class:?}"));
        }
        for (isa, got) in each_isa(|cpu| {
            let mut out = vec![f32::NAN; y_pred.len()];
            sparse_categorical_crossentropy::backward(cpu, call, upstream, &mut out).unwrap();
            out
        }) {
            assert_close(&got, gradient, 2e-6, &format!("{isa:?} {from_logits} {ignore_class:?}"));
        }
    }
}

#[test]
fn losses_match_their_definition_over_ragged_sizes() {
    for (loss, domain) in all() {
        for classes in [1, 2, 7, 15, 16, 17, 31, 33, 1000] {
            for samples in [0, 1, 3, 40] {
                let (y_true, y_pred) = data(domain, samples, classes);
                let call = LossCall { y_true: &y_true, y_pred: &y_pred, classes };
                let want: Vec<f64> = reference::forward(loss, call);
                for (isa, got) in each_isa(|cpu| {
                    let mut out = vec![f32::NAN; samples];
                    forward(cpu, loss, call, &mut out);
                    out
                }) {
                    let what = format!("{isa:?} {loss:?} {samples}x{classes}");
                    assert_close(&got, &want, 2e-5, &what);
                }
            }
        }
    }
}

/// Central differences of the definition, in `f64`.
fn differences(forward: impl Fn(&[f64]) -> Vec<f64>, x: &[f32], upstream: &[f32]) -> Vec<f64> {
    let step = 1e-6;
    let total = |x: &[f64]| -> f64 {
        forward(x).iter().zip(upstream).map(|(&l, &u)| l * f64::from(u)).sum()
    };
    let mut x: Vec<f64> = x.iter().map(|&v| v.into()).collect();
    (0..x.len())
        .map(|i| {
            let at = x[i];
            x[i] = at + step;
            let above = total(&x);
            x[i] = at - step;
            let below = total(&x);
            x[i] = at;
            (above - below) / (2.0 * step)
        })
        .collect()
}

fn assert_gradient(got: &[f32], want: &[f64], what: &str) {
    let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(g) - w).abs() <= 2e-5 * largest, "{what}: [{i}] is {g}, not {w}");
    }
}

#[test]
fn gradients_are_the_differences_of_the_definition() {
    for (loss, domain) in all() {
        for (samples, classes) in [(3, 1), (2, 7), (2, 17), (1, 33)] {
            // One class alone leaves the angle constant: its gradient is rounding.
            let constant = classes == 1 && matches!(loss, Loss::CosineSimilarity);
            let constant =
                constant || (classes == 1 && matches!(loss, Loss::CategoricalCrossentropy { .. }));
            if constant {
                continue;
            }
            let (y_true, y_pred) = data(domain, samples, classes);
            let upstream = numbers(samples, 9);
            let y_wide: Vec<f64> = y_true.iter().map(|&v| v.into()).collect();
            let call = LossCall { y_true: &y_true, y_pred: &y_pred, classes };
            let definition = |p: &[f64]| {
                reference::forward(loss, LossCall { y_true: &y_wide, y_pred: p, classes })
            };
            let want = differences(definition, &y_pred, &upstream);
            for (isa, got) in each_isa(|cpu| {
                let mut out = vec![f32::NAN; y_pred.len()];
                backward(cpu, loss, call, &upstream, &mut out);
                out
            }) {
                assert_gradient(&got, &want, &format!("{isa:?} {loss:?} {samples}x{classes}"));
            }
        }
    }
}

#[test]
fn sparse_losses_match_their_definition_over_ragged_sizes() {
    for classes in [1, 2, 7, 31, 32, 33, 1000] {
        for (samples, from_logits) in [(0, true), (1, true), (40, true), (1, false), (40, false)] {
            let domain = if from_logits { Domain::Distributions } else { Domain::Probabilities };
            let (_, y_pred) = data(domain, samples, classes);
            let ids = integers(samples, 5, classes as u64);
            let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
            let ignore_class = (classes > 2).then_some(1);
            let call =
                SparseCall { ids: &ids, y_pred: &y_pred, classes, from_logits, ignore_class };
            let want: Vec<f64> = reference::sparse_forward(call);
            for (isa, got) in each_isa(|cpu| {
                let mut out = vec![f32::NAN; samples];
                sparse_categorical_crossentropy::forward(cpu, call, &mut out).unwrap();
                out
            }) {
                assert_close(&got, &want, 2e-5, &format!("{isa:?} {samples}x{classes}"));
            }
            if classes == 1 || samples * classes > 2000 {
                continue;
            }
            let upstream = numbers(samples, 11);
            let definition = |p: &[f64]| {
                let (y_pred, ids) = (p, ids.as_slice());
                let call = SparseCall { ids, y_pred, classes, from_logits, ignore_class };
                reference::sparse_forward(call)
            };
            let want = differences(definition, &y_pred, &upstream);
            for (isa, got) in each_isa(|cpu| {
                let mut out = vec![f32::NAN; y_pred.len()];
                sparse_categorical_crossentropy::backward(cpu, call, &upstream, &mut out).unwrap();
                out
            }) {
                assert_gradient(&got, &want, &format!("{isa:?} {samples}x{classes}"));
            }
        }
    }
}

#[test]
fn an_id_that_names_no_class_is_refused() {
    let pool = Pool::new(1);
    let cpu = Cpu { isa: Isa::detect(), pool: &pool };
    let y_pred = [0.5; 9];
    for (ids, ignore_class, wrong) in [
        ([0, 3, 1], None, Some((1, 3))),
        ([0, 1, -1], None, Some((2, -1))),
        ([0, 1, -1], Some(-1), None),
        ([7, 2, 3], Some(7), Some((2, 3))),
        ([0, 1, 2], None, None),
    ] {
        let (ids, y_pred) = (&ids[..], &y_pred[..]);
        let call = SparseCall { ids, y_pred, classes: 3, from_logits: true, ignore_class };
        let want = match wrong {
            Some((sample, id)) => Err(ClassOutOfRange { sample, id, classes: 3 }),
            None => Ok(()),
        };
        let mut losses = [0.0; 3];
        assert_eq!(sparse_categorical_crossentropy::forward(cpu, call, &mut losses), want);
        let mut gradient = [0.0; 9];
        let got = sparse_categorical_crossentropy::backward(cpu, call, &losses, &mut gradient);
        assert_eq!(got, want);
    }
}
