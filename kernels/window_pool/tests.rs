//! Pooling over windows against its plain definition.

use super::*;
use crate::differences::{assert_gradient, assert_near, central_differences, dot, widened};
use crate::fixtures::{assert_close, each_isa, integers, numbers};
use crate::window::{Padding, Window};

fn check(shape: WindowPoolShape) {
    let x = numbers(shape.input_len(), 1);
    for (kind, tolerance) in [(Pooling::Max, 0.0), (Pooling::Average, 1e-6)] {
        let want: Vec<f64> = reference::forward(kind, &shape, &x);
        for (isa, got) in each_isa(|cpu| {
            let mut out = vec![9.0; want.len()];
            forward(cpu, kind, &shape, &x, &mut out);
            out
        }) {
            assert_close(&got, &want, tolerance, &format!("{isa:?} {kind:?} {shape:?}"));
        }
    }
}

fn check_gradient(shape: WindowPoolShape) {
    // Few different values, so that many tie.
    let x: Vec<f32> = integers(shape.input_len(), 1, 9).iter().map(|&v| v as f32 - 4.0).collect();
    let dy = numbers(shape.output_len(), 2);
    for kind in [Pooling::Max, Pooling::Average] {
        let want = reference::backward(kind, &shape, &widened(&x), &widened(&dy));
        for (isa, got) in each_isa(|cpu| {
            let mut dx = vec![9.0; x.len()];
            backward(cpu, kind, &shape, &x, &dy, &mut dx);
            dx
        }) {
            assert_near(&got, &want, &format!("{isa:?} {kind:?} {shape:?}"));
        }
    }
}

fn axis(len: usize, size: usize, stride: usize, padding: Padding) -> Axis {
    Axis { len, window: Window { size, stride, padding, ..Window::UNIT } }
}

#[test]
fn matches_the_definition_for_every_window() {
    for padding in [Padding::Valid, Padding::Same, Padding::Explicit { before: 2, after: 3 }] {
        for (size, stride) in [(1, 1), (2, 2), (3, 1), (3, 2), (2, 5), (7, 3)] {
            for len in [0, 1, 2, 7, 100] {
                let width = axis(len, size, stride, padding);
                check(WindowPoolShape { batch: 2, height: Axis::UNIT, width, features: 5 });
                let height = axis(6, 2, 3, padding);
                check(WindowPoolShape { batch: 2, height, width, features: 3 });
            }
        }
    }
}

#[test]
fn matches_the_definition_over_ragged_widths() {
    for features in [0, 1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 130, 5000] {
        let width = axis(11, 3, 2, Padding::Same);
        check(WindowPoolShape { batch: 1, height: Axis::UNIT, width, features });
    }
    let empty = axis(4, 2, 2, Padding::Valid);
    check(WindowPoolShape { batch: 0, height: Axis::UNIT, width: empty, features: 4 });
}

#[test]
fn padding_does_not_count_and_a_nan_stays() {
    let width = axis(3, 2, 2, Padding::Same);
    let shape = WindowPoolShape { batch: 1, height: Axis::UNIT, width, features: 1 };
    let run = |kind| {
        each_isa(move |cpu| {
            let mut out = vec![9.0; 2];
            forward(cpu, kind, &shape, &[f32::NAN, -2.0, -4.0], &mut out);
            out
        })
    };
    for (_, got) in run(Pooling::Max).into_iter().chain(run(Pooling::Average)) {
        assert!(got[0].is_nan());
        assert_eq!(got[1], -4.0);
    }
}

#[test]
fn gradients_match_the_reference_for_every_window() {
    for padding in [Padding::Valid, Padding::Same, Padding::Explicit { before: 2, after: 3 }] {
        for (size, stride) in [(1, 1), (2, 2), (3, 1), (3, 2), (2, 5), (7, 3)] {
            for len in [0, 1, 2, 7, 100] {
                let width = axis(len, size, stride, padding);
                check_gradient(WindowPoolShape {
                    batch: 2,
                    height: Axis::UNIT,
                    width,
                    features: 5,
                });
                let height = axis(6, 2, 3, padding);
                check_gradient(WindowPoolShape { batch: 2, height, width, features: 3 });
            }
        }
    }
    for features in [0, 1, 15, 16, 17, 63, 64, 65, 130] {
        let width = axis(11, 3, 2, Padding::Same);
        check_gradient(WindowPoolShape { batch: 3, height: Axis::UNIT, width, features });
    }
}

#[test]
fn the_reference_is_the_slope_of_the_pooling() {
    let (height, width) = (axis(4, 3, 2, Padding::Same), axis(7, 3, 2, Padding::Same));
    let shape = WindowPoolShape { batch: 2, height, width, features: 2 };
    let x = widened(&numbers(shape.input_len(), 3));
    let dy = widened(&numbers(shape.output_len(), 4));
    for kind in [Pooling::Max, Pooling::Average] {
        let want =
            central_differences(&x, |x| dot(&reference::forward::<f64, f64>(kind, &shape, x), &dy));
        let got = reference::backward(kind, &shape, &x, &dy);
        assert_gradient(&got, &want, 1e-6, &format!("{kind:?}"));
    }
}

#[test]
fn the_first_largest_element_takes_all_as_in_tensorflow() {
    let nan = f32::NAN;
    let gradient = |x: &[f32], size, stride, padding| {
        let width = axis(x.len(), size, stride, padding);
        let shape = WindowPoolShape { batch: 1, height: Axis::UNIT, width, features: 1 };
        let dy = vec![1.0; shape.output_len()];
        let results = each_isa(|cpu| {
            let mut dx = vec![9.0; x.len()];
            backward(cpu, Pooling::Max, &shape, x, &dy, &mut dx);
            dx
        });
        results[0].1.clone()
    };
    let x = [3.0, 3.0, 1.0, 3.0, 3.0, 3.0];
    assert_eq!(gradient(&x, 3, 1, Padding::Valid), [1.0, 1.0, 0.0, 2.0, 0.0, 0.0]);
    assert_eq!(gradient(&x, 3, 2, Padding::Same), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    let x = [3.0, nan, 1.0, nan, 3.0, nan];
    assert_eq!(gradient(&x, 3, 3, Padding::Valid), [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    let x = [nan, nan, f32::NEG_INFINITY, f32::NEG_INFINITY];
    assert_eq!(gradient(&x, 2, 2, Padding::Valid), [1.0, 0.0, 1.0, 0.0]);
}
