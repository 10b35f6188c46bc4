//! Products of matrices, and tables.

use seqfuse::Tensor;
use seqfuse::ops::*;

use crate::run::*;

#[test]
fn products_whose_leading_dimensions_broadcast() {
    let Some(_device) = device() else { return };
    let cases: [(&[usize], &[usize]); 10] = [
        (&[3, 4], &[4, 5]),
        (&[1, 1], &[1, 1]),
        (&[2, 3, 4], &[4, 5]),
        (&[2, 3, 4], &[2, 4, 5]),
        (&[2, 1, 33, 65], &[1, 3, 65, 17]),
        (&[3, 2, 5, 4], &[2, 4, 6]),
        (&[4, 3], &[5, 3, 2]),
        (&[2, 3, 1, 7, 4], &[1, 3, 2, 4, 5]),
        (&[2, 0, 4], &[2, 4, 5]),
        (&[2, 3, 0], &[2, 0, 5]),
    ];
    for (a, b) in cases {
        check_op_stays(&format!("{a:?} {b:?}"), MatMul, &[floats(a, 1), floats(b, 2)]);
        let inputs = [floats(a, 1)];
        let fixed = graph(&inputs, |graph, x| {
            let b = weight(graph, "b", floats(b, 2));
            vec![graph.add_one("product", MatMul, &[x[0], b]).expect("they fit")]
        });
        check_stays(&format!("{a:?} {b:?} fixed"), &fixed, &inputs);
    }
    // More matrices than a dimension of a grid has workgroups.
    check_op_stays("many", MatMul, &[floats(&[70_000, 1, 2], 1), floats(&[70_000, 2, 1], 2)]);
}

#[test]
fn rows_of_a_computed_table() {
    let Some(_device) = device() else { return };
    let ids = Tensor::new([2, 3], vec![0i64, 4, 2, 1, 1, 3]).expect("six");
    check_op_stays("embedding", Embedding, &[ids, floats(&[5, 7], 1)]);
    for wrong in [-1i64, 5] {
        let ids = Tensor::new([2], vec![1i64, wrong]).expect("two");
        check_op_stays("embedding", Embedding, &[ids, floats(&[5, 7], 1)]);
    }
}

#[test]
fn dense_layers_with_every_activation() {
    let Some(_device) = device() else { return };
    let relu =
        Activation::BoundedRelu { negative_slope: 0.1, max_value: Some(1.5), threshold: 0.2 };
    for activation in [
        Activation::Tanh,
        relu,
        Activation::Softmax,
        Activation::LogSoftmax,
        Activation::Sparsemax,
        Activation::Threshold { threshold: 0.1, value: -1.0 },
    ] {
        let inputs = [floats(&[5, 3, 7], 1)];
        let dense = graph(&inputs, |graph, x| {
            let kernel = weight(graph, "kernel", floats(&[7, 6], 2));
            let bias = weight(graph, "bias", floats(&[6], 3));
            let dense = Dense { contract: 1, activation };
            vec![graph.add_one("dense", dense, &[x[0], kernel, bias]).expect("it fits")]
        });
        check_stays(&format!("{activation:?}"), &dense, &inputs);
    }
}
