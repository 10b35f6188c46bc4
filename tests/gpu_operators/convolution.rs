//! Convolutions and pools.

use std::sync::Arc;

use seqfuse::Tensor;
use seqfuse::graph::Graph;
use seqfuse::ops::{Activation, Conv, GlobalPool, Padding, PoolKind, Window, WindowPool};

use crate::run::*;

const PADDINGS: [Padding; 4] =
    [Padding::Valid, Padding::Same, Padding::Causal, Padding::Explicit { before: 1, after: 3 }];

fn window(size: usize, stride: usize, dilation: usize, padding: Padding) -> Window {
    Window { size, stride, dilation, input_dilation: 1, padding }
}

fn conv(windows: &[Window], groups: usize) -> Conv {
    let windows = windows.to_vec();
    Conv { windows, groups, transposed: false, activation: Activation::Linear }
}

/// A node of such weights, as inputs where they are not `fixed`.
fn graph_of(op: &Conv, inputs: &[Tensor; 3], fixed: [bool; 2]) -> Graph {
    graph(inputs, |graph, values| {
        let mut slots = vec![Some(values[0])];
        for (slot, fixed) in fixed.into_iter().enumerate() {
            let name = format!("w{slot}");
            slots.push(Some(match fixed {
                true => weight(graph, &name, inputs[slot + 1].clone()),
                false => values[slot + 1],
            }));
        }
        graph.add_node("node", Arc::new(op.clone()), slots).expect("operands that fit")
    })
}

/// The shape of the kernel of `op` for `filters`.
fn kernel_shape(op: &Conv, features: usize, filters: usize) -> Vec<usize> {
    let mut shape: Vec<usize> = op.windows.iter().map(|window| window.size).collect();
    match op.transposed {
        true => shape.extend([filters, features]),
        false => shape.extend([features / op.groups, filters]),
    }
    shape
}

/// With a kernel and bias that are weights, and that are computed, and without a bias.
fn check_conv(what: &str, op: &Conv, x: &Tensor, filters: usize) {
    let features = x.shape().last().copied().unwrap_or(0);
    let (kernel, bias) = (floats(&kernel_shape(op, features, filters), 2), floats(&[filters], 3));
    let what = format!("{what}: {op:?} of {:?} to {filters}", x.shape());
    for fixed in [[true, true], [false, false], [true, false], [false, true]] {
        let inputs = [x.clone(), kernel.clone(), bias.clone()];
        let graph = graph_of(op, &inputs, fixed);
        check_stays(&format!("{what}, fixed {fixed:?}"), &graph, &inputs);
    }
    check_op_stays(&what, op.clone(), &[x.clone(), kernel]);
}

#[test]
fn sequences_of_ragged_sizes() {
    let Some(_device) = device() else { return };
    let cases = [
        [1, 1, 1, 1],
        [2, 7, 3, 5],
        [1, 65, 5, 64],
        [3, 30, 17, 65],
        [2, 130, 8, 31],
        [1, 9, 4, 0],
        [1, 9, 0, 30],
        [0, 9, 4, 3],
    ];
    for [batch, time, features, filters] in cases {
        for size in [1, 3] {
            let x = floats(&[batch, time, features], 1);
            check_conv("sequence", &conv(&[window(size, 1, 1, Padding::Same)], 1), &x, filters);
        }
    }
}

#[test]
fn kernels_of_half_precision() {
    let Some(_device) = device() else { return };
    let window = window(3, 1, 1, Padding::Same);
    // Odd sizes, so that pairs go over the ends of rows.
    let cases = [
        (conv(&[window], 1), vec![2, 9, 5], 7),
        (conv(&[window], 1), vec![2, 9, 5], 33),
        (conv(&[window], 5), vec![2, 9, 5], 5),
        (conv(&[window], 2), vec![1, 9, 6], 66),
        (conv(&[window, window], 1), vec![1, 4, 5, 3], 25),
        (Conv { transposed: true, ..conv(&[window], 1) }, vec![2, 7, 5], 3),
        (Conv { transposed: true, ..conv(&[window], 1) }, vec![2, 7, 5], 33),
    ];
    for (op, shape, filters) in cases {
        let x = floats(&shape, 1);
        let kernel = floats(&kernel_shape(&op, shape[shape.len() - 1], filters), 2);
        for fixed in [[true, true], [true, false]] {
            let what = format!("{op:?} of {shape:?} to {filters}, fixed {fixed:?}");
            let [full, near] = [kernel.clone(), rounded(&kernel)]
                .map(|kernel| [x.clone(), kernel, floats(&[filters], 3)]);
            check_half(&what, &graph_of(&op, &full, fixed), &graph_of(&op, &near, fixed), &full);
        }
    }
}

#[test]
fn strides_dilations_and_paddings() {
    let Some(_device) = device() else { return };
    for padding in PADDINGS {
        for (size, stride, dilation) in [(1, 3, 1), (4, 2, 1), (3, 1, 2), (2, 3, 4)] {
            for filters in [5, 40] {
                let op = conv(&[window(size, stride, dilation, padding)], 1);
                check_conv("windows", &op, &floats(&[2, 23, 6], 1), filters);
            }
        }
    }
}

#[test]
fn groups_and_depthwise() {
    let Some(_device) = device() else { return };
    let windows = [window(3, 1, 1, Padding::Same)];
    for (features, filters, groups) in [(4, 4, 4), (4, 12, 4), (6, 9, 3), (6, 64, 2), (1, 8, 1)] {
        let op = conv(&windows, groups);
        check_conv("groups", &op, &floats(&[2, 11, features], 1), filters);
    }
}

#[test]
fn images() {
    let Some(_device) = device() else { return };
    for (first, second) in [
        (window(3, 1, 1, Padding::Same), window(2, 2, 1, Padding::Valid)),
        (window(1, 1, 1, Padding::Valid), window(4, 1, 2, Padding::Same)),
        (
            window(2, 3, 2, Padding::Explicit { before: 2, after: 0 }),
            window(3, 1, 1, Padding::Same),
        ),
    ] {
        for (features, filters, groups) in [(3, 5, 1), (4, 64, 2), (5, 5, 5)] {
            let op = conv(&[first, second], groups);
            check_conv("images", &op, &floats(&[2, 9, 12, features], 1), filters);
        }
    }
}

#[test]
fn transposed() {
    let Some(_device) = device() else { return };
    for (size, stride, dilation, before) in [(3, 2, 1, 1), (2, 3, 1, 1), (4, 2, 3, 0), (1, 1, 1, 0)]
    {
        let padding = Padding::Explicit { before, after: 2 };
        let window = Window { size, stride: 1, dilation, input_dilation: stride, padding };
        for filters in [3, 33] {
            let op = Conv { transposed: true, ..conv(&[window], 1) };
            check_conv("transposed", &op, &floats(&[2, 7, 5], 1), filters);
            let op = Conv { transposed: true, ..conv(&[window, window], 1) };
            check_conv("transposed", &op, &floats(&[1, 5, 6, 4], 1), filters);
        }
    }
}

#[test]
fn activations_of_convolutions() {
    let Some(_device) = device() else { return };
    let bounded =
        Activation::BoundedRelu { negative_slope: 0.2, max_value: Some(1.0), threshold: 0.25 };
    let threshold = Activation::Threshold { threshold: 0.1, value: 0.5 };
    let others = [bounded, threshold, Activation::Softmax, Activation::Gelu { approximate: false }];
    for activation in [Activation::Relu, Activation::Tanh].into_iter().chain(others) {
        for filters in [6, 48] {
            let op = Conv { activation, ..conv(&[window(3, 1, 1, Padding::Same)], 1) };
            check_conv("activation", &op, &floats(&[2, 9, 4], 1), filters);
        }
    }
}

#[test]
fn pools_of_windows() {
    let Some(_device) = device() else { return };
    for kind in [PoolKind::Max, PoolKind::Average] {
        for padding in PADDINGS {
            for (size, stride, dilation) in [(1, 1, 1), (2, 2, 1), (3, 1, 2), (2, 5, 1)] {
                let one = window(size, stride, dilation, padding);
                let op = WindowPool { kind, windows: vec![one] };
                for shape in [[2, 17, 5], [1, 9, 300], [0, 9, 3], [1, 9, 0]] {
                    check_op_stays(&format!("{op:?}"), op.clone(), &[floats(&shape, 1)]);
                }
                let op = WindowPool { kind, windows: vec![one, window(2, 1, 1, Padding::Valid)] };
                check_op_stays(&format!("{op:?}"), op, &[floats(&[2, 8, 6, 3], 1)]);
            }
        }
        // Windows that lie on padding alone, and values that are no numbers.
        let padding = Padding::Explicit { before: 3, after: 3 };
        let op = WindowPool { kind, windows: vec![window(2, 1, 1, padding)] };
        let mut values = numbers(12, 1);
        values[3] = f32::NAN;
        values[8] = f32::NEG_INFINITY;
        let x = Tensor::new([1, 12, 1], values).expect("the count fits");
        check_op_stays(&format!("{op:?} of NaN"), op, &[x]);
    }
}

#[test]
fn pools_of_all_steps() {
    let Some(_device) = device() else { return };
    for shape in [[1, 1, 1], [2, 7, 5], [3, 8, 32], [2, 100, 33], [1, 0, 4], [0, 3, 4], [1, 3, 0]] {
        let x = || floats(&shape, 1);
        check_op_stays(&format!("{shape:?}"), GlobalPool { kind: PoolKind::Max }, &[x()]);
        let average = GlobalPool { kind: PoolKind::Average };
        check_op_stays(&format!("{shape:?}"), average.clone(), &[x()]);
        let mask = truths(&shape[..2], 2);
        check_op_stays(&format!("{shape:?} with a mask"), average.clone(), &[x(), mask.clone()]);
        let none = Tensor::new(&shape[..2], vec![false; shape[0] * shape[1]]).expect("it fits");
        check_op_stays(&format!("{shape:?} without steps"), average.clone(), &[x(), none]);
        let inputs = [x()];
        let graph = graph(&inputs, |graph, values| {
            let mask = graph.constant(mask);
            let slots = vec![Some(values[0]), Some(mask)];
            graph.add_node("node", Arc::new(average), slots).expect("operands that fit")
        });
        check_stays("a fixed mask", &graph, &inputs);
    }
    let mut values = numbers(6, 1);
    values[3] = f32::NAN;
    let x = Tensor::new([1, 6, 1], values).expect("the count fits");
    let mask = Tensor::new([1, 6], vec![true, true, true, false, true, true]).expect("it fits");
    for kind in [PoolKind::Max, PoolKind::Average] {
        check_op_stays("NaN", GlobalPool { kind }, std::slice::from_ref(&x));
    }
    check_op_stays("NaN where the mask is", GlobalPool { kind: PoolKind::Average }, &[x, mask]);
}

#[test]
fn long_sums() {
    let Some(_device) = device() else { return };
    let one = window(1, 1, 1, Padding::Valid);
    // Near what a software adapter's loops can do, and beyond it.
    for (features, filters) in [(64_900, 2), (66_000, 2), (44_000, 25), (50_000, 25)] {
        let [x, kernel] = [floats(&[1, 1, features], 1), scaled(&[1, features, filters], 2, 0.01)];
        let what = format!("{features} features");
        match features {
            64_900 | 44_000 => check_op_stays(&what, conv(&[one], 1), &[x, kernel]),
            _ => check_op(&what, conv(&[one], 1), &[x, kernel]),
        }
    }
    for time in [500_000, 530_000] {
        let x = floats(&[1, time, 1], 1);
        check_op("a long maximum", GlobalPool { kind: PoolKind::Max }, &[x]);
    }
}
