//! Scaled dot-product attention.

use std::sync::Arc;

use seqfuse::Tensor;
use seqfuse::ops::{Attention, MaskedRow};

use crate::run::*;

const ROWS: [MaskedRow; 4] =
    [MaskedRow::Uniform, MaskedRow::Zero, MaskedRow::Nan, MaskedRow::Lowered];

fn attention() -> Attention {
    Attention {
        scale: 0.5,
        causal: false,
        sliding_window: None,
        masked_row: MaskedRow::Uniform,
        dropout: 0.0,
        dropped_scores: false,
    }
}

/// Batch, queries, keys, heads, key heads, features of a key and of a value.
type Sizes = [usize; 7];

fn operands([batch, queries, keys, heads, key_heads, dim, value_dim]: Sizes) -> Vec<Tensor> {
    vec![
        floats(&[batch, queries, heads, dim], 1),
        floats(&[batch, keys, key_heads, dim], 2),
        floats(&[batch, keys, key_heads, value_dim], 3),
    ]
}

/// The output alone, and together with the scores.
fn check_both(what: &str, op: &Attention, inputs: &[Tensor]) {
    for outputs in [0..1, 0..2, 1..2] {
        let graph = graph(inputs, |graph, values| {
            let slots = values.iter().copied().map(Some).collect();
            let found = graph.add_node("node", Arc::new(op.clone()), slots).expect("they fit");
            found[outputs.clone()].to_vec()
        });
        check_stays(&format!("{what}, outputs {outputs:?}"), &graph, inputs);
    }
}

#[test]
fn ragged_sizes() {
    let Some(_device) = device() else { return };
    let cases: [Sizes; 11] = [
        [1, 1, 1, 1, 1, 1, 1],
        [2, 3, 5, 2, 2, 4, 7],
        [1, 8, 32, 1, 1, 32, 16],
        [1, 9, 33, 3, 3, 33, 17],
        [2, 40, 70, 4, 2, 64, 64],
        [1, 7, 31, 6, 1, 31, 100],
        [1, 5, 66, 2, 1, 100, 300],
        [1, 3, 0, 2, 2, 4, 5],
        [0, 3, 2, 2, 2, 4, 5],
        [1, 0, 4, 2, 2, 4, 5],
        [1, 3, 4, 1, 1, 0, 2],
    ];
    for sizes in cases {
        check_both(&format!("{sizes:?}"), &attention(), &operands(sizes));
    }
}

#[test]
fn causality_and_windows() {
    let Some(_device) = device() else { return };
    for [queries, keys] in [[1, 1], [5, 5], [40, 70], [70, 40]] {
        for causal in [false, true] {
            for sliding_window in [None, Some(0), Some(1), Some(6), Some(35), Some(usize::MAX)] {
                for masked_row in ROWS {
                    let op = Attention { causal, sliding_window, masked_row, ..attention() };
                    let inputs = operands([2, queries, keys, 2, 1, 5, 6]);
                    check_both(&format!("{queries} queries, {keys} keys, {op:?}"), &op, &inputs);
                }
            }
        }
    }
}

#[test]
fn masks_of_every_form() {
    let Some(_device) = device() else { return };
    let (queries, keys) = (11, 35);
    for shape in [
        [2, 3, queries, keys],
        [2, 1, 1, keys],
        [1, 1, queries, keys],
        [1, 3, 1, 1],
        [2, 1, queries, 1],
        [1, 1, 1, 1],
    ] {
        for masked_row in ROWS {
            for causal in [false, true] {
                let op = Attention { causal, masked_row, scale: 4.0, ..attention() };
                let mut inputs = operands([2, queries, keys, 3, 3, 6, 9]);
                inputs.push(truths(&shape, 4));
                check_both(&format!("a mask of {shape:?}, {op:?}"), &op, &inputs);
            }
        }
    }
}

#[test]
fn a_mask_that_is_a_weight() {
    let Some(_device) = device() else { return };
    let inputs = operands([2, 9, 12, 2, 2, 4, 4]);
    let graph = graph(&inputs, |graph, x| {
        let mask = graph.constant(truths(&[1, 1, 9, 12], 8));
        let slots = vec![Some(x[0]), Some(x[1]), Some(x[2]), Some(mask)];
        graph.add_node("node", Arc::new(attention()), slots).expect("they fit")
    });
    check_stays("a fixed mask", &graph, &inputs);
}

#[test]
fn scores_far_apart_and_without_an_end() {
    let Some(_device) = device() else { return };
    let mut inputs = operands([1, 9, 70, 1, 1, 2, 3]);
    for value in [1e4, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let mut key = numbers(140, 2);
        key[20] = value;
        key[120] = value;
        inputs[1] = Tensor::new([1, 70, 1, 2], key).expect("the count fits");
        check_both(&format!("a key of {value}"), &attention(), &inputs);
    }
}

#[test]
fn long_sequences() {
    let Some(_device) = device() else { return };
    // Near what a software adapter's loops can do, and beyond it.
    check_both("many keys", &attention(), &operands([1, 2, 12000, 1, 1, 32, 16]));
    let inputs = operands([1, 1, 40000, 1, 1, 8, 16]);
    let graph = graph(&inputs, |graph, values| {
        let slots = values.iter().copied().map(Some).collect();
        graph.add_node("node", Arc::new(attention()), slots).expect("they fit")
    });
    check("more keys", &graph, &inputs);
}
