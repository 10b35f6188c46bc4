//! Layer normalization against its plain definition.

use super::*;
use crate::fixtures::{assert_close, assert_gradient, each_isa, numbers, wide};

fn check(call: LayerNormCall, tolerance: f64) {
    let want = reference::forward(call);
    for (isa, got) in each_isa(|cpu| {
        let mut out = vec![f32::NAN; call.x.len()];
        forward(cpu, call, &mut out);
        out
    }) {
        assert_close(&got, &want, tolerance, &format!("{isa:?} {:?} {}", call.form, call.features));
    }
}

#[test]
fn matches_the_definition_of_every_form() {
    for features in [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 1000] {
        for rows in [0, 1, 3, 300] {
            let x = numbers(rows * features, features as u64);
            let (gamma, beta) = (numbers(features, 1), numbers(features, 2));
            for gamma in [None, Some(gamma.as_slice())] {
                for beta in [None, Some(beta.as_slice())] {
                    for form in [Form::Standard, Form::VarianceScaling, Form::RootMeanSquare] {
                        let beta = beta.filter(|_| form == Form::Standard);
                        let epsilon = 1e-3;
                        check(LayerNormCall { x: &x, gamma, beta, features, epsilon, form }, 5e-6);
                    }
                }
            }
        }
    }
}

#[test]
fn a_mean_far_from_zero_costs_no_digits() {
    let x: Vec<f32> = (0..64).map(|i| 4096.0 + i as f32 / 32.0).collect();
    let (gamma, beta, epsilon, form) = (None, None, 1e-6, Form::Standard);
    check(LayerNormCall { x: &x, gamma, beta, features: 64, epsilon, form }, 1e-3);
    let shifted: Vec<f32> = x.iter().map(|v| v - 4096.0).collect();
    check(LayerNormCall { x: &shifted, gamma, beta, features: 64, epsilon, form }, 1e-6);
}

const FORMS: [Form; 3] = [Form::Standard, Form::VarianceScaling, Form::RootMeanSquare];

#[test]
fn gradients_are_those_of_the_function() {
    for form in FORMS {
        for (rows, features) in [(1, 1), (3, 5), (2, 8)] {
            let (x, dy) = (wide(&numbers(rows * features, 1)), wide(&numbers(rows * features, 2)));
            let (gamma, beta) = (wide(&numbers(features, 3)), wide(&numbers(features, 4)));
            let beta = Some(beta.as_slice()).filter(|_| form == Form::Standard);
            let call = LayerNormCall {
                x: &x,
                gamma: Some(gamma.as_slice()),
                beta,
                features,
                epsilon: 0.01,
                form,
            };
            let [dx, dgamma, dbeta] = reference::backward::<f64, f64>(call, &dy);
            let what = format!("{form:?} {features}");
            let run = |x: &[f64]| reference::forward(LayerNormCall { x, ..call });
            assert_gradient(&x, &dy, run, &dx, &what);
            let run =
                |gamma: &[f64]| reference::forward(LayerNormCall { gamma: Some(gamma), ..call });
            assert_gradient(&gamma, &dy, run, &dgamma, &what);
            if let Some(beta) = beta {
                let run =
                    |beta: &[f64]| reference::forward(LayerNormCall { beta: Some(beta), ..call });
                assert_gradient(beta, &dy, run, &dbeta, &what);
            }
        }
    }
}

/// The three gradients one behind the other, those not asked for as they were.
fn run_backward(cpu: crate::Cpu, call: LayerNormCall, dy: &[f32], wanted: [bool; 3]) -> Vec<f32> {
    let (len, features) = (call.x.len(), call.features);
    let mut all = vec![7.0; len + 2 * features];
    let (dx, rest) = all.split_at_mut(len);
    let (dgamma, dbeta) = rest.split_at_mut(features);
    let gradients = LayerNormGradients {
        dx: wanted[0].then_some(dx),
        dgamma: wanted[1].then_some(dgamma),
        dbeta: wanted[2].then_some(dbeta),
    };
    let mut workspace = vec![f32::NAN; workspace_len(len / features, features)];
    backward(cpu, call, dy, gradients, &mut workspace);
    all
}

#[test]
fn the_fast_gradients_are_the_plain_ones() {
    for features in [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 1000] {
        for rows in [0, 1, 3, 300] {
            let (x, dy) = (numbers(rows * features, 5), numbers(rows * features, 6));
            let gamma = numbers(features, 1);
            for gamma in [None, Some(gamma.as_slice())] {
                for form in FORMS {
                    let epsilon = 1e-3;
                    let call = LayerNormCall { x: &x, gamma, beta: None, features, epsilon, form };
                    let want = reference::backward::<f32, f64>(call, &dy);
                    for (isa, got) in each_isa(|cpu| run_backward(cpu, call, &dy, [true; 3])) {
                        let what = format!("{isa:?} {form:?} {rows}x{features}");
                        let (dx, rest) = got.split_at(x.len());
                        let (dgamma, dbeta) = rest.split_at(features);
                        for (got, want) in [dx, dgamma, dbeta].into_iter().zip(&want) {
                            // Relative to the largest: rows of one or two features cancel.
                            let largest = want.iter().fold(1.0, |max: f64, v| max.max(v.abs()));
                            let scaled: Vec<f64> = want.iter().map(|v| v / largest).collect();
                            let got: Vec<f32> =
                                got.iter().map(|v| (f64::from(*v) / largest) as f32).collect();
                            assert_close(&got, &scaled, 2e-5, &what);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_gradient_that_nobody_asks_for_is_left_alone_and_changes_no_other() {
    let (x, dy, gamma) = (numbers(60, 1), numbers(60, 2), numbers(12, 3));
    let (gamma, epsilon) = (Some(gamma.as_slice()), 1e-3);
    let call =
        LayerNormCall { x: &x, gamma, beta: None, features: 12, epsilon, form: Form::Standard };
    for (isa, all) in each_isa(|cpu| run_backward(cpu, call, &dy, [true; 3])) {
        for wanted in (0..8).map(|bits| [0, 1, 2].map(|i| bits >> i & 1 == 1)) {
            for (other, some) in each_isa(|cpu| run_backward(cpu, call, &dy, wanted)) {
                for i in (0..84).filter(|_| other == isa) {
                    let asked = wanted[if i < 60 { 0 } else { 1 + (i - 60) / 12 }];
                    assert_eq!(some[i], if asked { all[i] } else { 7.0 });
                }
            }
        }
    }
}
