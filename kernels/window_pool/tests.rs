//! Pooling over windows against its plain definition.

use super::*;
use crate::fixtures::{assert_close, each_isa, numbers};
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
