//! Layer normalization against its plain definition.

use super::*;
use crate::fixtures::{assert_close, each_isa, numbers};

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
