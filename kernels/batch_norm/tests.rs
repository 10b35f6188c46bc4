//! Batch normalization against its plain definition, with and without masks.

use super::*;
use crate::fixtures::{assert_close, assert_gradient, each_isa, integers, numbers, wide};
use crate::{Cpu, Isa};

/// outer, channels, inner and the last axis.
const SHAPES: &[([usize; 3], usize)] = &[
    ([1, 1, 1], 1),
    ([7, 1, 1], 1),
    ([600, 1, 1], 1),
    ([5, 3, 1], 3),
    ([300, 7, 1], 7),
    ([33, 17, 1], 17),
    ([9, 64, 1], 64),
    ([1000, 33, 1], 33),
    ([4, 3, 1], 1),
    ([4, 3, 5], 5),
    ([4, 3, 6], 3),
    ([2, 17, 100], 20),
    ([3, 2, 20_000], 100),
    ([0, 3, 1], 3),
    ([2, 0, 4], 4),
];

fn mask(len: usize, repeat: usize) -> Vec<u8> {
    let mut mask: Vec<u8> = integers(len / repeat, 9, 3).iter().map(|&v| v as u8).collect();
    // At least one step counts.
    mask.iter_mut().take(1).for_each(|keep| *keep = 2);
    mask
}

fn shape([outer, channels, inner]: [usize; 3]) -> BatchNormShape {
    BatchNormShape { outer, channels, inner }
}

#[test]
fn gradients_are_those_of_the_function() {
    for &(sizes, repeat) in SHAPES.iter().filter(|(sizes, _)| sizes.iter().product::<usize>() < 99)
    {
        let shape = shape(sizes);
        let x = wide(&numbers(shape.len(), 1));
        let dy = wide(&numbers(shape.len(), 2));
        let gamma = wide(&numbers(shape.channels, 3));
        let beta = wide(&numbers(shape.channels, 4));
        let mask = mask(shape.len(), repeat);
        for steps in [None, Some(Steps { mask: &mask, repeat })] {
            let (gamma, beta) = (gamma.as_slice(), beta.as_slice());
            let call = BatchNormCall {
                shape,
                x: &x,
                gamma: Some(gamma),
                beta: Some(beta),
                steps,
                epsilon: 0.1,
            };
            let what = format!("{shape:?} masked {}", steps.is_some());
            let y = |call: BatchNormCall<f64>| {
                let [y, ..] = reference::forward::<f64, f64>(call);
                y
            };
            let [dx, dgamma, dbeta] = reference::backward::<f64, f64>(call, &dy);
            assert_gradient(&x, &dy, |x| y(BatchNormCall { x, ..call }), &dx, &what);
            let by_gamma = |gamma: &[f64]| y(BatchNormCall { gamma: Some(gamma), ..call });
            assert_gradient(gamma, &dy, by_gamma, &dgamma, &what);
            let by_beta = |beta: &[f64]| y(BatchNormCall { beta: Some(beta), ..call });
            assert_gradient(beta, &dy, by_beta, &dbeta, &what);
        }
    }
}

/// y, mean, variance, dx, dγ and dβ one behind the other.
fn run(cpu: Cpu, call: BatchNormCall, dy: &[f32]) -> Vec<f32> {
    let (len, channels) = (call.x.len(), call.shape.channels);
    let new = |len: usize| vec![f32::NAN; len];
    let (mut y, mut dx) = (new(len), new(len));
    let (mut mean, mut variance) = (new(channels), new(channels));
    let (mut dgamma, mut dbeta) = (new(channels), new(channels));
    let mut workspace = new(workspace_len(&call.shape));
    let out = BatchNormOutput { y: &mut y, mean: &mut mean, variance: &mut variance };
    forward(cpu, call, out, &mut workspace);
    workspace.fill(f32::NAN);
    let gradients = BatchNormGradients {
        dx: Some(&mut dx),
        dgamma: Some(&mut dgamma),
        dbeta: Some(&mut dbeta),
    };
    backward(cpu, call, (&mean, &variance), dy, gradients, &mut workspace);
    [y, mean, variance, dx, dgamma, dbeta].concat()
}

#[test]
fn the_fast_form_is_the_plain_one_in_both_directions() {
    for &(sizes, repeat) in SHAPES {
        let shape = shape(sizes);
        let x: Vec<f32> = numbers(shape.len(), 5).iter().map(|v| v * 3.0 + 1.0).collect();
        let dy = numbers(shape.len(), 6);
        let (gamma, beta) = (numbers(shape.channels, 7), numbers(shape.channels, 8));
        let mask = mask(shape.len(), repeat);
        for steps in [None, Some(Steps { mask: &mask, repeat })] {
            for affine in [false, true] {
                let parameter = |values| Some(values).filter(|_| affine);
                let (gamma, beta) = (parameter(gamma.as_slice()), parameter(beta.as_slice()));
                let call = BatchNormCall { shape, x: &x, gamma, beta, steps, epsilon: 1e-2 };
                let want =
                    [reference::forward::<f32, f64>(call), reference::backward(call, &dy)].concat();
                let check = |isa: Isa, got: &[f32]| {
                    let mut rest = got;
                    for (part, want) in want.iter().enumerate() {
                        let (got, next) = rest.split_at(want.len());
                        rest = next;
                        let largest = want.iter().fold(1.0, |max: f64, v| max.max(v.abs()));
                        let scaled: Vec<f64> = want.iter().map(|v| v / largest).collect();
                        let got: Vec<f32> =
                            got.iter().map(|v| (f64::from(*v) / largest) as f32).collect();
                        assert_close(&got, &scaled, 1e-5, &format!("{isa:?} {shape:?} {part}"));
                    }
                };
                each_isa(|cpu| run(cpu, call, &dy)).iter().for_each(|(isa, got)| check(*isa, got));
            }
        }
    }
}

#[test]
fn steps_that_are_masked_do_not_move_the_moments_but_are_normalised() {
    let x = [1.0, 10.0, 3.0, 30.0, 1000.0, -1000.0];
    let shape = shape([3, 2, 1]);
    let steps = Some(Steps { mask: &[1, 1, 0], repeat: 2 });
    let call = BatchNormCall { shape, x: &x, gamma: None, beta: None, steps, epsilon: 0.0 };
    for (_, got) in each_isa(|cpu| run(cpu, call, &[1.0; 6])) {
        assert_close(&got[6..10], &[2.0, 20.0, 1.0, 100.0], 1e-6, "moments");
        assert_close(&got[..6], &[-1.0, -1.0, 1.0, 1.0, 998.0, -102.0], 1e-6, "y");
    }
}

#[test]
fn a_batch_without_a_step_that_counts_stays_finite() {
    let x = numbers(12, 1);
    let steps = Some(Steps { mask: &[0; 4], repeat: 3 });
    let shape = shape([4, 3, 1]);
    let call = BatchNormCall { shape, x: &x, gamma: None, beta: None, steps, epsilon: 1e-3 };
    for (_, got) in each_isa(|cpu| run(cpu, call, &x)) {
        assert!(got.iter().all(|v| v.is_finite()));
        assert!(got[12..18].iter().all(|&v| v == 0.0));
    }
}

#[test]
fn a_mean_far_from_zero_costs_no_digits() {
    let x: Vec<f32> = (0..640).map(|i| 4096.0 + (i % 64) as f32 / 32.0).collect();
    let shape = shape([640, 1, 1]);
    let (gamma, beta, steps) = (None, None, None);
    let call = BatchNormCall { shape, x: &x, gamma, beta, steps, epsilon: 1e-3 };
    let [want, ..] = reference::forward::<f32, f64>(call);
    for (isa, got) in each_isa(|cpu| run(cpu, call, &x)) {
        assert_close(&got[..640], &want, 1e-3, &format!("{isa:?}"));
    }
}
