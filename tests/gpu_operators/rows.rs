//! Reductions, running sums, softmax and normalizations along axes.

use seqfuse::ops::*;
use seqfuse::{DType, Tensor};

use crate::run::*;

/// Sizes around the numbers of threads that share a line.
const AXES: [usize; 9] = [1, 2, 3, 5, 31, 64, 65, 257, 3000];

fn shapes() -> Vec<[usize; 3]> {
    let mut all: Vec<[usize; 3]> = AXES.iter().flat_map(|&n| [[3, n, 1], [2, n, 33]]).collect();
    all.extend([[1, 1, 1], [70_000, 2, 1], [0, 3, 2], [2, 3, 0]]);
    all
}

#[test]
fn reductions() {
    let Some(_device) = device() else { return };
    use ReduceKind::*;
    for shape in shapes() {
        for kind in [Sum, Mean, Max, Min] {
            let reduce = Reduce { kind, first: 1, count: 1, keepdims: false };
            check_op_stays(&format!("{kind:?} of {shape:?}"), reduce, &[floats(&shape, 1)]);
        }
        for kind in [Any, All] {
            let reduce = Reduce { kind, first: 1, count: 1, keepdims: true };
            check_op_stays(&format!("{kind:?} of {shape:?}"), reduce, &[truths(&shape, 1)]);
        }
    }
    for (first, count) in [(0, 0), (0, 1), (1, 2), (0, 4), (3, 1)] {
        for kind in [Sum, Prod, Mean, Max, Min] {
            for dtype in [DType::F32, DType::I32, DType::I64] {
                let reduce = Reduce { kind, first, count, keepdims: first == 1 };
                let what = format!("{kind:?} of {dtype:?} {first} {count}");
                // Products of 64 bits leave 32.
                let inputs = [of(dtype, &[3, 4, 2, 5], 2)];
                match kind {
                    Prod => check_op(&what, reduce, &inputs),
                    _ => check_op_stays(&what, reduce, &inputs),
                }
            }
        }
    }
    let special = vec![1.0, f32::NAN, 3.0, f32::INFINITY, -1.0, 2.0, f32::NEG_INFINITY, 0.0, 1.0];
    for kind in [Sum, Mean, Max, Min, Prod] {
        let reduce = Reduce { kind, first: 1, count: 1, keepdims: false };
        check_op_stays(kind.name(), reduce, &[Tensor::new([3, 3], special.clone()).expect("nine")]);
        let reduce = Reduce { kind, first: 1, count: 1, keepdims: false };
        check_op_stays("of nothing", reduce, &[floats(&[3, 0, 2], 1)]);
    }
}

#[test]
fn sums_of_integers_beyond_32_bits_are_right() {
    let Some(_device) = device() else { return };
    let large =
        Tensor::new([2, 3], vec![2_000_000_000i64, 2_000_000_000, 5, 1, 2, 3]).expect("six");
    for kind in [ReduceKind::Sum, ReduceKind::Prod, ReduceKind::Mean] {
        let reduce = Reduce { kind, first: 1, count: 1, keepdims: false };
        check_op_moves(kind.name(), reduce, std::slice::from_ref(&large));
    }
    check_op_moves("cumsum", Cumsum { axis: 1 }, &[large]);
}

#[test]
fn running_sums() {
    let Some(_device) = device() else { return };
    for shape in shapes() {
        check_op_stays(&format!("cumsum {shape:?}"), Cumsum { axis: 1 }, &[floats(&shape, 3)]);
    }
    for axis in 0..3 {
        for dtype in [DType::F32, DType::I32, DType::I64] {
            check_op_stays("cumsum", Cumsum { axis }, &[of(dtype, &[7, 300, 5], 4)]);
        }
    }
}

#[test]
fn softmax_over_every_axis() {
    let Some(_device) = device() else { return };
    for shape in shapes() {
        for log in [false, true] {
            let what = format!("softmax {shape:?} {log}");
            check_op_stays(&what, Softmax { axis: 1, log }, &[floats(&shape, 3)]);
        }
    }
    let inf = f32::INFINITY;
    let special = vec![-inf, 0.0, 1.0, -inf, -inf, -inf, 100.0, -100.0, 3.0, f32::NAN, 0.0, 1.0];
    for log in [false, true] {
        let x = Tensor::new([4, 3], special.clone()).expect("twelve");
        check_op_stays("special numbers", Softmax { axis: 1, log }, &[x]);
    }
}

#[test]
fn activations_of_rows() {
    let Some(_device) = device() else { return };
    for width in [2, 6, 66, 600] {
        for activation in
            [Activation::Softmax, Activation::LogSoftmax, Activation::Sparsemax, Activation::Glu]
        {
            let what = format!("{activation:?} {width}");
            // llvmpipe has not the rounds for long rows.
            check_op(&what, Activate { activation }, &[floats(&[5, 3, width], 2)]);
        }
    }
}

#[test]
fn layer_normalizations() {
    let Some(_device) = device() else { return };
    for (form, slots) in
        [(NormForm::Standard, 3), (NormForm::VarianceScaling, 2), (NormForm::RootMeanSquare, 2)]
    {
        for width in AXES {
            for given in 1..=slots {
                let x = floats(&[4, 3, width], 1);
                let inputs: Vec<Tensor> =
                    [x, floats(&[width], 2), floats(&[width], 3)][..given].to_vec();
                let norm = LayerNorm { axes: 1, epsilon: 1e-3, form };
                check_op_stays(&format!("{form:?} {width}"), norm, &inputs);
            }
        }
    }
    let inputs = [floats(&[5, 3, 7], 1)];
    let fixed = graph(&inputs, |graph, x| {
        let gamma = weight(graph, "gamma", floats(&[3, 7], 2));
        let beta = weight(graph, "beta", floats(&[3, 7], 3));
        let norm = LayerNorm { axes: 2, epsilon: 1e-5, form: NormForm::Standard };
        vec![graph.add_one("norm", norm, &[x[0], gamma, beta]).expect("it fits")]
    });
    check_stays("two axes and weights", &fixed, &inputs);
}

#[test]
fn places_of_extrema() {
    let Some(_device) = device() else { return };
    for shape in shapes().into_iter().filter(|shape| shape[1] > 0) {
        for largest in [true, false] {
            let what = format!("arg_reduce {shape:?} {largest}");
            check_op_stays(&what, ArgReduce { largest, axis: 1 }, &[floats(&shape, 3)]);
            // Many equal ones: the first counts.
            let equal = integers(&shape, 4, DType::I64);
            check_op_stays(&what, ArgReduce { largest, axis: 1 }, &[equal]);
        }
    }
    let inf = f32::INFINITY;
    let special =
        vec![f32::NAN, 1.0, 2.0, f32::NAN, f32::NAN, f32::NAN, inf, -inf, inf, -inf, -inf, 0.0];
    for largest in [true, false] {
        let x = Tensor::new([4, 3], special.clone()).expect("twelve");
        check_op_stays("special numbers", ArgReduce { largest, axis: 1 }, &[x]);
    }
}
