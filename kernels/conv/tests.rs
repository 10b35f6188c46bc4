//! Convolution against its plain definition, over every combination of its settings.

use super::*;
use crate::fixtures::{assert_close, each_isa, numbers};

fn check(shape: ConvShape, activation: Activation, with_bias: bool) {
    let x = numbers(shape.input_len(), 1);
    let kernel = numbers(shape.kernel_len(), 2);
    let bias = numbers(shape.filters, 3);
    let bias = with_bias.then_some(bias.as_slice());
    let mut want: Vec<f64> = reference::forward(&shape, &x, &kernel, bias);
    assert_eq!(want.len(), shape.output_len());
    if activation == Activation::Relu {
        want.iter_mut().for_each(|v| *v = v.max(0.0));
    }
    let mut packed = vec![f32::NAN; packed_len(&shape)];
    pack(&shape, &kernel, &mut packed);
    for (isa, got) in each_isa(|cpu| {
        let mut out = vec![f32::NAN; want.len()];
        forward(cpu, &ConvCall { shape, x: &x, packed: &packed, bias, activation }, &mut out);
        out
    }) {
        assert_close(&got, &want, 5e-6, &format!("{isa:?} {shape:?}"));
    }
}

const WINDOW: Window = Window { size: 3, ..Window::UNIT };

const PLAIN: ConvShape = ConvShape {
    batch: 1,
    height: Axis::UNIT,
    width: Axis { len: 10, window: WINDOW },
    inputs: 3,
    filters: 4,
    groups: 1,
    transposed: false,
};

const PADDINGS: [Padding; 4] =
    [Padding::Valid, Padding::Same, Padding::Causal, Padding::Explicit { before: 1, after: 4 }];

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

#[test]
fn matches_the_definition_for_every_setting() {
    for window in windows(&[1, 2, 3], &[1, 2, 4], &[1]) {
        for groups in [1, 2, 4] {
            for len in [0, 1, 2, 7, 30] {
                let width = Axis { len, window };
                let shape = ConvShape { batch: 2, width, inputs: 4, filters: 8, groups, ..PLAIN };
                check(shape, Activation::Linear, true);
            }
        }
    }
}

#[test]
fn matches_the_definition_with_gaps_in_the_input() {
    for window in windows(&[1, 2], &[1, 2, 3], &[2, 3, 4]) {
        for transposed in [false, true] {
            for len in [0, 1, 2, 7, 19] {
                let width = Axis { len, window };
                check(ConvShape { batch: 2, width, transposed, ..PLAIN }, Activation::Linear, true);
            }
        }
    }
}

#[test]
fn matches_the_definition_with_two_axes() {
    let axes = |len, strides: &[usize], dilations: &[usize], gaps: &[usize]| -> Vec<Axis> {
        windows(strides, dilations, gaps).into_iter().map(|window| Axis { len, window }).collect()
    };
    let heights = [axes(6, &[1, 2], &[1], &[1]), axes(5, &[1], &[1, 2], &[1, 2])].concat();
    for (index, height) in heights.into_iter().enumerate() {
        let widths = axes(7, &[1, 2], &[1, 2], &[1, 2, 3]);
        // Each height with a few of the widths, so that all are met.
        for width in widths.into_iter().skip(index % 7).step_by(7) {
            for groups in [1, 2, 4] {
                let shape = ConvShape { height, width, inputs: 4, filters: 4, groups, ..PLAIN };
                check(shape, Activation::Linear, false);
            }
            check(ConvShape { height, width, transposed: true, ..PLAIN }, Activation::Relu, true);
        }
    }
}

#[test]
fn matches_the_definition_over_ragged_widths() {
    let width = Axis { len: 53, window: Window { padding: Padding::Same, ..WINDOW } };
    for filters in [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 128] {
        for inputs in [0, 1, 5, 16] {
            let shape = ConvShape { filters, inputs, width, ..PLAIN };
            check(shape, Activation::Relu, filters % 2 == 0);
            check(ConvShape { transposed: true, ..shape }, Activation::Linear, true);
        }
    }
}

#[test]
fn matches_the_definition_for_each_feature_on_its_own() {
    let width = Axis { len: 29, window: Window { padding: Padding::Same, ..WINDOW } };
    for features in [2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 33, 64, 67, 130] {
        for multiplier in [1, 2, 3] {
            let filters = features * multiplier;
            let shape = ConvShape { inputs: features, filters, groups: features, width, ..PLAIN };
            check(shape, Activation::Relu, multiplier % 2 == 0);
        }
    }
}

#[test]
fn causal_outputs_see_no_later_input() {
    let window = Window { padding: Padding::Causal, dilation: 2, ..WINDOW };
    let shape = ConvShape { width: Axis { len: 10, window }, ..PLAIN };
    let kernel = numbers(36, 1);
    let mut packed = vec![0.0; packed_len(&shape)];
    pack(&shape, &kernel, &mut packed);
    let run = |x: &[f32]| {
        each_isa(|cpu| {
            let mut out = vec![0.0; 40];
            let activation = Activation::Tanh;
            let call = ConvCall { shape, x, packed: &packed, bias: None, activation };
            forward(cpu, &call, &mut out);
            out
        })
    };
    let mut x = numbers(30, 2);
    let before = run(&x);
    x[6 * 3] += 1.0;
    for ((_, before), (_, after)) in before.iter().zip(run(&x)) {
        assert_eq!(before[..24], after[..24]);
        assert_ne!(before[24..28], after[24..28]);
    }
}

#[test]
fn a_transposed_convolution_spreads_each_element_over_its_window() {
    let padding = Padding::Explicit { before: 1, after: 1 };
    let window = Window { size: 2, input_dilation: 2, padding, ..Window::UNIT };
    let width = Axis { len: 2, window };
    let shape = ConvShape { width, inputs: 1, filters: 1, transposed: true, ..PLAIN };
    let mut packed = vec![0.0; packed_len(&shape)];
    pack(&shape, &[10.0, 1.0], &mut packed);
    for (_, got) in each_isa(|cpu| {
        let mut out = vec![0.0; 4];
        let (x, activation) = (&[1.0, 2.0][..], Activation::Linear);
        forward(cpu, &ConvCall { shape, x, packed: &packed, bias: None, activation }, &mut out);
        out
    }) {
        assert_eq!(got, [10.0, 1.0, 20.0, 2.0]);
    }
}
