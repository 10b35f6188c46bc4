//! Softmax against its plain definition, and what masks and special values give.

use super::*;
use crate::fixtures::{assert_close, each_isa, integers, numbers};

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
