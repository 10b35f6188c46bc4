//! Attention and recurrent layers.

use seqfuse::graph::ValueId;
use seqfuse::ops::*;

use super::build::{Builder, Case};
use super::cases::case;

pub fn add(cases: &mut Vec<Case>) {
    attention(cases);
    recurrent(cases);
}

fn plain() -> Attention {
    Attention {
        scale: 0.6,
        causal: false,
        sliding_window: None,
        masked_row: MaskedRow::Uniform,
        dropout: 0.0,
        dropped_scores: false,
    }
}

fn operands(b: &mut Builder, masked: bool) -> Vec<Option<ValueId>> {
    let (query, key, value) = (b.p(&[2, 3, 4, 5]), b.p(&[2, 4, 2, 5]), b.p(&[2, 4, 2, 3]));
    let pattern = [true, true, false, true, true, true, true, false, true];
    let mask = masked.then(|| b.mask(&[2, 1, 3, 4], &pattern));
    vec![Some(query), Some(key), Some(value), mask]
}

fn attention(cases: &mut Vec<Case>) {
    let forms = [
        ("plain", plain(), false),
        ("masked", plain(), true),
        ("causal", Attention { causal: true, ..plain() }, false),
        ("windowed", Attention { sliding_window: Some(2), ..plain() }, true),
        ("zero rows", Attention { masked_row: MaskedRow::Zero, ..plain() }, true),
    ];
    for (name, op, masked) in forms {
        for outputs in [0..1, 1..2, 0..2] {
            let op = op.clone();
            cases.push(case("attention", format!("{name}, outputs {outputs:?}"), move |b| {
                let inputs = operands(b, masked);
                let found = b.node(op.clone(), inputs);
                // The scores do not depend on the values, which are read all the same.
                if outputs.start == 1 {
                    let value = b.graph.nodes()[0].inputs[2].expect("values");
                    return vec![found[1], value];
                }
                found[outputs.clone()].to_vec()
            }));
        }
    }
    for outputs in [0..1, 0..3] {
        cases.push(case("attention", format!("dropout, outputs {outputs:?}"), move |b| {
            let mut inputs = operands(b, true);
            inputs.push(Some(b.step()));
            let attention = Attention { dropout: 0.4, causal: true, ..plain() };
            let found = b.node(AttentionTraining { attention, stream: 3 }, inputs);
            found[outputs.clone()].to_vec()
        }));
    }
}

fn recurrent(cases: &mut Vec<Case>) {
    let cells = [
        RecurrentCell::Lstm,
        RecurrentCell::Gru { reset_after: true },
        RecurrentCell::Gru { reset_after: false },
        RecurrentCell::SimpleRnn,
    ];
    for cell in cells {
        for (index, masked) in [false, true, true, false].into_iter().enumerate() {
            let (backward, zero) = (index == 2, index == 1);
            let activation = if index == 3 { Activation::Softsign } else { Activation::Tanh };
            let name = format!("{cell:?}, form {index}");
            cases.push(case("recurrent_steps", name, move |b| {
                let steps = RecurrentSteps {
                    cell,
                    units: 3,
                    backward,
                    activation,
                    recurrent_activation: Activation::Sigmoid,
                    zero_output_for_mask: zero,
                };
                walk(b, steps, masked, index)
            }));
        }
    }
}

/// A walk with what its form takes: initial states and dropout in every other one.
fn walk(b: &mut Builder, steps: RecurrentSteps, masked: bool, form: usize) -> Vec<ValueId> {
    let (batch, time, units, columns) = (2, 4, 3, 3 * steps.cell.gates());
    let is_lstm = steps.cell == RecurrentCell::Lstm;
    let mut inputs = vec![None; 7];
    inputs[RecurrentSteps::PRODUCTS] = Some(b.p(&[batch, time, columns]));
    inputs[RecurrentSteps::RECURRENT_KERNEL] = Some(b.p(&[units, columns]));
    inputs[RecurrentSteps::MASK] =
        masked.then(|| b.mask(&[batch, time], &[true, true, false, true, false]));
    if steps.cell == (RecurrentCell::Gru { reset_after: true }) {
        inputs[RecurrentSteps::RECURRENT_BIAS] = Some(b.p(&[columns]));
    }
    if form.is_multiple_of(2) {
        inputs[RecurrentSteps::STATE_H] = Some(b.p(&[batch, units]));
        inputs[RecurrentSteps::STATE_C] = is_lstm.then(|| b.p(&[batch, units]));
    } else {
        let sets = if form == 1 { steps.cell.gates() } else { 1 };
        inputs[RecurrentSteps::RECURRENT_DROPOUT] = Some(b.fixed(&[sets, batch, units], 0.0, 2.0));
    }
    let outputs = b.node(steps, inputs);
    match form {
        0 => outputs[..if is_lstm { 4 } else { 3 }].to_vec(),
        1 => vec![outputs[0]],
        2 => vec![outputs[1]],
        _ => vec![outputs[0], outputs[2]],
    }
}
