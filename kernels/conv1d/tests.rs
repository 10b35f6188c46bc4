//! Convolution against its plain definition, over every combination of its settings.

use super::*;
use crate::fixtures::{assert_close, each_isa, numbers};

fn check(shape: Conv1dShape, activation: Activation, with_bias: bool) {
    let Conv1dShape { batch, time, inputs, filters, kernel_size, groups, .. } = shape;
    let x = numbers(batch * time * inputs, 1);
    let kernel = numbers(kernel_size * inputs / groups * filters, 2);
    let bias = numbers(filters, 3);
    let bias = with_bias.then_some(bias.as_slice());
    let mut want: Vec<f64> = reference::forward(&shape, &x, &kernel, bias);
    if activation == Activation::Relu {
        want.iter_mut().for_each(|v| *v = v.max(0.0));
    }
    let mut packed = vec![f32::NAN; packed_len(&shape)];
    pack(&shape, &kernel, &mut packed);
    for (isa, got) in each_isa(|cpu| {
        let mut out = vec![f32::NAN; want.len()];
        forward(cpu, &Conv1dCall { shape, x: &x, packed: &packed, bias, activation }, &mut out);
        out
    }) {
        assert_close(&got, &want, 5e-6, &format!("{isa:?} {shape:?}"));
    }
}

const PLAIN: Conv1dShape = Conv1dShape {
    batch: 1,
    time: 10,
    inputs: 3,
    filters: 4,
    kernel_size: 3,
    stride: 1,
    dilation: 1,
    groups: 1,
    padding: Padding::Valid,
};

const PADDINGS: [Padding; 4] =
    [Padding::Valid, Padding::Same, Padding::Causal, Padding::Explicit { before: 1, after: 4 }];

#[test]
fn matches_the_definition_for_every_setting() {
    for padding in PADDINGS {
        for kernel_size in [1, 2, 3, 5] {
            for stride in [1, 2, 3] {
                for dilation in [1, 2, 4] {
                    for groups in [1, 2] {
                        for time in [0, 1, 2, 7, 30] {
                            let sizes =
                                Conv1dShape { batch: 2, time, inputs: 4, filters: 6, ..PLAIN };
                            let shape = Conv1dShape {
                                kernel_size,
                                stride,
                                dilation,
                                groups,
                                padding,
                                ..sizes
                            };
                            check(shape, Activation::Linear, true);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn matches_the_definition_over_ragged_widths() {
    for filters in [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 128] {
        for inputs in [0, 1, 5, 16] {
            let shape = Conv1dShape { filters, inputs, time: 53, padding: Padding::Same, ..PLAIN };
            check(shape, Activation::Relu, filters % 2 == 0);
        }
    }
    let depthwise = Conv1dShape { inputs: 9, filters: 9, groups: 9, time: 20, ..PLAIN };
    check(depthwise, Activation::Linear, true);
}

#[test]
fn same_padding_puts_the_odd_zero_behind() {
    let shape = Conv1dShape { time: 5, kernel_size: 2, padding: Padding::Same, ..PLAIN };
    assert_eq!((shape.padding_sizes(), shape.out_time()), ((0, 1), 5));
    let strided = Conv1dShape { time: 6, kernel_size: 5, stride: 2, ..shape };
    assert_eq!((strided.padding_sizes(), strided.out_time()), ((1, 2), 3));
    // A stride beyond the kernel leaves input over and pads nothing.
    let sparse = Conv1dShape { time: 7, kernel_size: 1, stride: 3, ..shape };
    assert_eq!((sparse.padding_sizes(), sparse.out_time()), ((0, 0), 3));
}

#[test]
fn causal_outputs_see_no_later_input() {
    let shape = Conv1dShape { padding: Padding::Causal, dilation: 2, ..PLAIN };
    let kernel = numbers(36, 1);
    let mut packed = vec![0.0; packed_len(&shape)];
    pack(&shape, &kernel, &mut packed);
    let run = |x: &[f32]| {
        each_isa(|cpu| {
            let mut out = vec![0.0; 40];
            let activation = Activation::Tanh;
            let call = Conv1dCall { shape, x, packed: &packed, bias: None, activation };
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
