//! Softmax against its plain definition, and what masks and special values give.

use super::*;
use crate::fixtures::{assert_close, assert_gradient, each_isa, integers, numbers, wide};

fn run(call: SoftmaxCall) -> Vec<(crate::Isa, Vec<f32>)> {
    each_isa(|cpu| {
        let mut out = vec![f32::NAN; call.x.len()];
        forward(cpu, call, &mut out);
        out
    })
}

#[test]
fn matches_the_definition_along_any_axis() {
    for axis in [0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1000] {
        for (outer, inner) in [(1, 1), (13, 1), (0, 1), (3, 5), (2, 70), (2, 0)] {
            let x: Vec<f32> =
                numbers(outer * axis * inner, axis as u64).iter().map(|v| v * 30.0).collect();
            for form in [Form::Probability, Form::Logarithm] {
                let call = SoftmaxCall { x: &x, mask: None, outer, axis, inner, form };
                let want = reference::forward(call);
                for (isa, got) in run(call) {
                    assert_close(&got, &want, 2e-6, &format!("{isa:?} {outer}x{axis}x{inner}"));
                }
            }
        }
    }
}

#[test]
fn masked_elements_are_zero_and_so_is_a_wholly_masked_row() {
    for (outer, axis, inner) in [(9, 5, 1), (4, 40, 1), (3, 4, 7)] {
        let x = numbers(outer * axis * inner, 1);
        let mut mask: Vec<u8> =
            integers(x.len(), 2, 2).iter().map(|&v| if v == 0 { 0 } else { 255 }).collect();
        mask[..axis * inner].fill(0);
        let form = Form::Probability;
        let call = SoftmaxCall { x: &x, mask: Some(&mask), outer, axis, inner, form };
        let want = reference::forward(call);
        for (isa, got) in run(call) {
            assert_close(&got, &want, 1e-6, &format!("{isa:?}"));
            assert!(got[..axis * inner].iter().all(|&v| v == 0.0));
            assert!(got.iter().zip(&mask).all(|(&v, &keep)| keep != 0 || v == 0.0));
        }
    }
}

#[test]
fn large_logits_do_not_overflow_and_a_nan_spoils_its_row_only() {
    let mut x = vec![1e30; 40];
    x[3] = f32::NAN;
    let (outer, axis, inner) = (2, 20, 1);
    let form = Form::Probability;
    for (_, got) in run(SoftmaxCall { x: &x, mask: None, outer, axis, inner, form }) {
        assert!(got[..20].iter().all(|v| v.is_nan()));
        assert!(got[20..].iter().all(|&v| (v - 0.05).abs() < 1e-7));
    }
}

/// The gradient by the fast form.
fn run_backward(call: SoftmaxGradient) -> Vec<(crate::Isa, Vec<f32>)> {
    each_isa(|cpu| {
        let mut dx = vec![f32::NAN; call.y.len()];
        backward(cpu, call, &mut dx);
        dx
    })
}

#[test]
fn gradients_are_those_of_the_function() {
    for (outer, axis, inner) in [(3, 5, 1), (2, 4, 3), (1, 1, 2)] {
        let x = wide(&numbers(outer * axis * inner, 1));
        let dy = wide(&numbers(x.len(), 2));
        for form in [Form::Probability, Form::Logarithm] {
            let mask: Vec<u8> = integers(x.len(), 3, 2).iter().map(|&v| v as u8).collect();
            for mask in [None, Some(mask.as_slice()).filter(|_| form == Form::Probability)] {
                let run = |x: &[f64]| -> Vec<f64> {
                    reference::forward(SoftmaxCall { x, mask, outer, axis, inner, form })
                };
                let y = run(&x);
                let got = reference::backward::<f64, f64>(SoftmaxGradient {
                    y: &y,
                    dy: &dy,
                    outer,
                    axis,
                    inner,
                    form,
                });
                assert_gradient(&x, &dy, run, &got, &format!("{form:?} {axis}"));
            }
        }
    }
}

#[test]
fn the_fast_gradient_is_the_plain_one_along_any_axis() {
    for axis in [0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1000] {
        for (outer, inner) in [(1, 1), (13, 1), (0, 1), (3, 5), (2, 70), (2, 0)] {
            let x = numbers(outer * axis * inner, axis as u64);
            let (x, dy) = (x.iter().map(|v| v * 5.0).collect::<Vec<_>>(), numbers(x.len(), 7));
            for form in [Form::Probability, Form::Logarithm] {
                let call = SoftmaxCall { x: &x, mask: None, outer, axis, inner, form };
                for (isa, y) in run(call) {
                    let call = SoftmaxGradient { y: &y, dy: &dy, outer, axis, inner, form };
                    let want = reference::backward(call);
                    for (_, got) in run_backward(call).iter().filter(|(i, _)| *i == isa) {
                        let what = format!("{isa:?} {form:?} {outer}x{axis}x{inner}");
                        assert_close(got, &want, 1e-5, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn masked_elements_get_no_gradient() {
    let (outer, axis, inner) = (4, 6, 1);
    let (x, dy) = (numbers(24, 1), numbers(24, 2));
    let mut mask = [1; 24];
    mask[..6].fill(0);
    mask[8] = 0;
    let form = Form::Probability;
    for (_, y) in run(SoftmaxCall { x: &x, mask: Some(&mask), outer, axis, inner, form }) {
        for (_, dx) in run_backward(SoftmaxGradient { y: &y, dy: &dy, outer, axis, inner, form }) {
            assert!(dx[..6].iter().all(|&v| v == 0.0) && dx[8] == 0.0);
            assert!(dx[6..8].iter().chain(&dx[9..]).all(|&v| v != 0.0));
        }
    }
}
