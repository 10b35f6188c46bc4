//! Gradients of convolution against central differences and against the reference, over every
//! combination of its settings.

use super::*;
use crate::differences::{assert_gradient, assert_near, central_differences, dot, widened};
use crate::fixtures::{each_isa, numbers};

const WINDOW: Window = Window { size: 3, ..Window::UNIT };

const PLAIN: ConvShape = ConvShape {
    batch: 2,
    height: Axis::UNIT,
    width: Axis { len: 10, window: WINDOW },
    inputs: 3,
    filters: 4,
    groups: 1,
    transposed: false,
};

const PADDINGS: [Padding; 5] = [
    Padding::Valid,
    Padding::Same,
    Padding::Causal,
    Padding::Explicit { before: 1, after: 4 },
    Padding::Explicit { before: 6, after: 0 },
];

fn windows(strides: &[usize], dilations: &[usize], gaps: &[usize]) -> Vec<Window> {
    let mut windows = Vec::new();
    for padding in PADDINGS {
        for size in [1, 2, 3, 5] {
            for &stride in strides {
                for &dilation in dilations {
                    for &input_dilation in gaps {
                        windows.push(Window { size, stride, dilation, input_dilation, padding });
                    }
                }
            }
        }
    }
    windows
}

fn check(shape: ConvShape) {
    let (x, kernel) = (numbers(shape.input_len(), 1), numbers(shape.kernel_len(), 2));
    let dy = numbers(shape.output_len(), 3);
    let (exact, exact_kernel, exact_dy) = (widened(&x), widened(&kernel), widened(&dy));
    let call = ConvBackward { shape, x: &exact[..], kernel: &exact_kernel, dy: &exact_dy };
    let (dx, dk, db) = reference::backward(&call);
    for (isa, got) in each_isa(|cpu| {
        let mut all = vec![9.0; dx.len() + dk.len() + db.len()];
        let (dx, rest) = all.split_at_mut(dx.len());
        let (dk, db) = rest.split_at_mut(dk.len());
        let mut workspace = vec![f32::NAN; backward_workspace_len(&shape)];
        let gradients = ConvGradients { x: Some(dx), kernel: Some(dk), bias: Some(db) };
        let call = ConvBackward { shape, x: &x, kernel: &kernel, dy: &dy };
        backward(cpu, &call, gradients, &mut workspace);
        all
    }) {
        let (got_dx, rest) = got.split_at(dx.len());
        let (got_dk, got_db) = rest.split_at(dk.len());
        assert_near(got_dx, &dx, &format!("dx on {isa:?} of {shape:?}"));
        assert_near(got_dk, &dk, &format!("dk on {isa:?} of {shape:?}"));
        assert_near(got_db, &db, &format!("db on {isa:?} of {shape:?}"));
    }
}

#[test]
fn the_reference_is_the_slope_of_the_convolution() {
    let same = Window { padding: Padding::Same, stride: 2, ..WINDOW };
    let gaps =
        Window { input_dilation: 2, padding: Padding::Explicit { before: 2, after: 1 }, ..WINDOW };
    let causal = Window { padding: Padding::Causal, dilation: 2, ..WINDOW };
    let axis = |window| Axis { len: 6, window };
    let groups = ConvShape { inputs: 4, groups: 2, ..PLAIN };
    for shape in [
        PLAIN,
        ConvShape { width: axis(same), ..groups },
        ConvShape { width: axis(causal), height: axis(same), ..PLAIN },
        ConvShape { width: axis(gaps), transposed: true, ..PLAIN },
        ConvShape { width: axis(gaps), transposed: true, ..groups },
        ConvShape { groups: 4, inputs: 4, filters: 8, ..PLAIN },
    ] {
        let x = widened(&numbers(shape.input_len(), 1));
        let kernel = widened(&numbers(shape.kernel_len(), 2));
        let bias = widened(&numbers(shape.filters, 3));
        let dy = widened(&numbers(shape.output_len(), 4));
        let value = |x: &[f64], kernel: &[f64], bias: &[f64]| {
            dot(&reference::forward::<f64, f64>(&shape, x, kernel, Some(bias)), &dy)
        };
        let call = ConvBackward { shape, x: &x, kernel: &kernel, dy: &dy };
        let (dx, dk, db) = reference::backward(&call);
        let what = format!("{shape:?}");
        assert_gradient(&dx, &central_differences(&x, |x| value(x, &kernel, &bias)), 1e-6, &what);
        assert_gradient(&dk, &central_differences(&kernel, |k| value(&x, k, &bias)), 1e-6, &what);
        assert_gradient(&db, &central_differences(&bias, |b| value(&x, &kernel, b)), 1e-6, &what);
    }
}

#[test]
fn gradients_match_the_reference_for_every_setting() {
    for window in windows(&[1, 2, 3], &[1, 2], &[1]) {
        for (groups, inputs, filters) in [(1, 3, 4), (2, 4, 8), (4, 4, 8), (4, 4, 4), (4, 8, 4)] {
            for len in [0, 1, 2, 7, 19] {
                let width = Axis { len, window };
                check(ConvShape { width, inputs, filters, groups, ..PLAIN });
            }
        }
    }
}

#[test]
fn gradients_match_the_reference_with_gaps_in_the_input() {
    for window in windows(&[1, 2], &[1, 2, 3], &[2, 3]) {
        for (transposed, groups) in [(false, 1), (true, 1), (true, 3)] {
            for len in [0, 1, 2, 7] {
                let width = Axis { len, window };
                check(ConvShape { width, transposed, groups, filters: 6, ..PLAIN });
            }
        }
    }
}

#[test]
fn gradients_match_the_reference_with_two_axes() {
    let axes = |len, gaps: &[usize]| -> Vec<Axis> {
        windows(&[1, 2], &[1, 2], gaps).into_iter().map(|window| Axis { len, window }).collect()
    };
    for (index, height) in [axes(6, &[1]), axes(4, &[1, 2])].concat().into_iter().enumerate() {
        // Each height with a few of the widths, so that all are met.
        for width in axes(7, &[1, 2]).into_iter().skip(index % 13).step_by(13) {
            for groups in [1, 2, 4] {
                check(ConvShape { height, width, inputs: 4, groups, ..PLAIN });
            }
            check(ConvShape { height, width, transposed: true, ..PLAIN });
        }
    }
}

#[test]
fn gradients_match_the_reference_over_ragged_widths() {
    let width = Axis { len: 23, window: Window { padding: Padding::Same, ..WINDOW } };
    for filters in [0, 1, 7, 15, 16, 17, 33, 128, 300] {
        for inputs in [0, 1, 5, 16, 70] {
            check(ConvShape { filters, inputs, width, ..PLAIN });
            check(ConvShape { filters, inputs, width, transposed: true, ..PLAIN });
        }
    }
    for features in [2, 15, 16, 17, 33, 67, 300] {
        for multiplier in [1, 3] {
            let filters = features * multiplier;
            check(ConvShape { inputs: features, filters, groups: features, width, ..PLAIN });
        }
    }
    let long = Axis { len: 120, window: Window { size: 5, ..width.window } };
    check(ConvShape { batch: 33, width: long, inputs: 8, filters: 20, ..PLAIN });
    check(ConvShape { batch: 9, width: long, inputs: 70, filters: 20, ..PLAIN });
    check(ConvShape { batch: 33, width: long, inputs: 32, filters: 32, groups: 32, ..PLAIN });
}

#[test]
fn only_what_is_asked_for_is_written() {
    let (x, kernel) = (numbers(60, 1), numbers(36, 2));
    let dy = numbers(64, 3);
    let pool = crate::Pool::new(2);
    let cpu = crate::Cpu { isa: crate::Isa::detect(), pool: &pool };
    let call = ConvBackward { shape: PLAIN, x: &x, kernel: &kernel, dy: &dy };
    let mut workspace = vec![f32::NAN; backward_workspace_len(&PLAIN)];
    let mut db = [9.0; 4];
    let gradients = ConvGradients { bias: Some(&mut db), ..ConvGradients::default() };
    backward(cpu, &call, gradients, &mut workspace);
    let exact = widened(&dy);
    let want: Vec<f64> = (0..4).map(|f| exact.iter().skip(f).step_by(4).sum()).collect();
    assert_near(&db, &want, "db alone");
}

#[test]
fn an_unpacked_kernel_gives_the_same_bits() {
    let gaps = Window { input_dilation: 3, dilation: 2, padding: Padding::Causal, ..WINDOW };
    for shape in [
        PLAIN,
        ConvShape { filters: 70, ..PLAIN },
        ConvShape { transposed: true, width: Axis { len: 9, window: gaps }, ..PLAIN },
        ConvShape { inputs: 4, groups: 4, ..PLAIN },
        ConvShape { inputs: 0, ..PLAIN },
    ] {
        let (x, kernel) = (numbers(shape.input_len(), 1), numbers(shape.kernel_len(), 2));
        let bias = numbers(shape.filters, 3);
        let (bias, activation) = (Some(&bias[..]), Activation::Tanh);
        let mut packed = vec![f32::NAN; packed_len(&shape)];
        pack(&shape, &kernel, &mut packed);
        let want = each_isa(|cpu| {
            let mut out = vec![9.0; shape.output_len()];
            forward(cpu, &ConvCall { shape, x: &x, packed: &packed, bias, activation }, &mut out);
            out
        });
        let got = each_isa(|cpu| {
            let mut out = vec![9.0; shape.output_len()];
            let mut workspace = vec![f32::NAN; forward_unpacked_workspace_len(&shape)];
            let call = UnpackedCall { shape, x: &x, kernel: &kernel, bias, activation };
            forward_unpacked(cpu, &call, &mut out, &mut workspace);
            out
        });
        assert_eq!(got, want, "{shape:?}");
    }
}
