//! Gradients of the reference against differences, the fast form against the reference, and the
//! forward pass against inference.

use super::cases::{
    CELLS, Case, activation_cases, dropout_cases, masked_cases, partial_cases, parts, wide,
    wide_outputs, wide_values,
};
use super::reference::{self, Cell, Outputs, Values};
use super::{Steps, StepsBackward, StepsCall};
use crate::fixtures::each_isa;
use crate::recurrent::{Direction, RecurrentCall};
use crate::{Activation, Cpu, Isa, Pool, gru, lstm, simple_rnn};

/// Whether the gradient of a part is what `got` says, but for `tolerance` of the largest.
#[track_caller]
fn assert_near(got: &[f64], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let largest = want.iter().fold(1e-3, |max: f64, value| max.max(value.abs()));
    for (index, (got, want)) in got.iter().zip(want).enumerate() {
        let near = (got - want).abs() <= tolerance * largest;
        assert!(near, "{what}: [{index}] is {got}, not {want}");
    }
}

/// Checks the reference's gradients by central differences of the reference's forward pass.
fn check_differences(case: &Case) {
    let layer = case.layer();
    let mut values = wide_values(&case.values());
    let weights = wide_outputs(&case.d_outputs());
    let mut gradients = reference::backward(&layer, &values, &weights);
    let loss = |values: &Values<f64>| -> f64 {
        let outputs = reference::forward(&layer, values);
        [
            (&outputs.sequence, &weights.sequence),
            (&outputs.last, &weights.last),
            (&outputs.final_h, &weights.final_h),
            (&outputs.final_c, &weights.final_c),
        ]
        .into_iter()
        .flat_map(|(outputs, weights)| outputs.iter().zip(weights))
        .map(|(output, weight)| output * weight)
        .sum()
    };
    let step = 1e-5;
    let gradients = parts(&mut gradients).map(|(name, gradient)| (name, gradient.clone()));
    for (part, (name, gradient)) in gradients.iter().enumerate() {
        let len = parts(&mut values)[part].1.len();
        let mut differences = Vec::new();
        for index in 0..len {
            let mut shifted = |by: f64| {
                let value = parts(&mut values)[part].1[index];
                parts(&mut values)[part].1[index] = value + by;
                let loss = loss(&values);
                parts(&mut values)[part].1[index] = value;
                loss
            };
            differences.push((shifted(step) - shifted(-step)) / (2.0 * step));
        }
        if len > 0 {
            assert_near(gradient, &differences, 1e-6, &format!("{name} of {case:?}"));
        }
    }
}

fn optional(values: &[f32]) -> Option<&[f32]> {
    (!values.is_empty()).then_some(values)
}

/// What the fast form gives: outputs, then gradients.
struct Fast {
    outputs: Outputs<f32>,
    gradients: Values<f32>,
}

/// Which results are asked for; the others are left out of the call.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    d_products: bool,
    d_weights: bool,
    d_states: bool,
}

const EVERYTHING: Wanted = Wanted { d_products: true, d_weights: true, d_states: true };

fn fast(case: &Case, cpu: Cpu<'_>, wanted: Wanted) -> Fast {
    fast_of(case, &case.values(), cpu, wanted)
}

fn fast_of(case: &Case, values: &Values<f32>, cpu: Cpu<'_>, wanted: Wanted) -> Fast {
    let d = case.d_outputs();
    let Case { cell, batch, time, units, .. } = *case;
    let (columns, state, size) = (cell.gates() * units, batch * units, [batch, time, units]);
    let dropout = case.parts.dropout;
    let steps = Steps {
        batch,
        time,
        units,
        activation: case.activations.0,
        recurrent_activation: case.activations.1,
        backward: case.backward,
        zero_output_for_mask: case.zero_output_for_mask,
        mask: case.mask.as_deref(),
        recurrent_kernel: &values.recurrent_kernel,
        recurrent_dropout: optional(&values.recurrent_dropout),
    };
    let [saved, workspace, backward_workspace] = lengths(cell, cpu.isa, size, dropout);
    let has_c = cell == Cell::Lstm;
    let mut gates = vec![f32::NAN; batch * time * columns];
    let mut saved = vec![f32::NAN; saved];
    let mut outputs = Outputs {
        sequence: vec![9.0; state * time],
        last: vec![9.0; state],
        final_h: vec![9.0; state],
        final_c: vec![9.0; if has_c { state } else { 0 }],
    };
    let parts = case.parts;
    let call = StepsCall {
        steps,
        products: &values.products,
        recurrent_bias: optional(&values.recurrent_bias),
        initial_h: optional(&values.initial_h),
        initial_c: optional(&values.initial_c),
        sequence: parts.sequence.then_some(&mut outputs.sequence[..]),
        last: parts.last.then_some(&mut outputs.last[..]),
        final_h: parts.finals.then_some(&mut outputs.final_h[..]),
        final_c: (parts.finals && has_c).then_some(&mut outputs.final_c[..]),
        gates: &mut gates,
        saved: &mut saved,
        workspace: &mut vec![f32::NAN; workspace],
    };
    match cell {
        Cell::Lstm => lstm::training::forward(cpu, call),
        Cell::Gru { reset_after } => gru::training::forward(cpu, reset_after, call),
        Cell::Simple => simple_rnn::training::forward(cpu, call),
    }
    let after = cell == Cell::Gru { reset_after: true };
    let room = |wanted: bool, len: usize| vec![9.0f32; if wanted { len } else { 0 }];
    let mut gradients = Values {
        products: room(wanted.d_products, batch * time * columns),
        recurrent_kernel: room(wanted.d_weights, units * columns),
        recurrent_bias: room(wanted.d_weights && after, columns),
        initial_h: room(wanted.d_states, state),
        initial_c: room(wanted.d_states && has_c, state),
        recurrent_dropout: Vec::new(),
    };
    let call = StepsBackward {
        steps,
        gates: &gates,
        saved: &saved,
        d_sequence: optional(&d.sequence),
        d_last: optional(&d.last),
        d_final_h: optional(&d.final_h),
        d_final_c: optional(&d.final_c),
        d_products: wanted.d_products.then_some(&mut gradients.products[..]),
        d_recurrent_kernel: wanted.d_weights.then_some(&mut gradients.recurrent_kernel[..]),
        d_recurrent_bias: (wanted.d_weights && after).then_some(&mut gradients.recurrent_bias[..]),
        d_initial_h: wanted.d_states.then_some(&mut gradients.initial_h[..]),
        d_initial_c: (wanted.d_states && has_c).then_some(&mut gradients.initial_c[..]),
        workspace: &mut vec![f32::NAN; backward_workspace],
    };
    match cell {
        Cell::Lstm => lstm::training::backward(cpu, call),
        Cell::Gru { reset_after } => gru::training::backward(cpu, reset_after, call),
        Cell::Simple => simple_rnn::training::backward(cpu, call),
    }
    Fast { outputs, gradients }
}

/// Values of `saved` and of both workspaces.
fn lengths(cell: Cell, isa: Isa, size: [usize; 3], dropout: usize) -> [usize; 3] {
    let [batch, time, units] = size;
    // For tests that do not ask for the gradient of the products.
    let d_products = batch * time * cell.gates() * units;
    match cell {
        Cell::Lstm => [
            lstm::training::saved_len(batch, time, units),
            lstm::training::workspace_len(isa, size, dropout),
            lstm::training::backward_workspace_len(isa, size, dropout) + d_products,
        ],
        Cell::Gru { reset_after } => [
            gru::training::saved_len(reset_after, batch, time, units),
            gru::training::workspace_len(reset_after, isa, size, dropout),
            gru::training::backward_workspace_len(reset_after, isa, size, dropout) + d_products,
        ],
        Cell::Simple => [
            simple_rnn::training::saved_len(batch, time, units),
            simple_rnn::training::workspace_len(isa, size, dropout),
            simple_rnn::training::backward_workspace_len(isa, size, dropout) + d_products,
        ],
    }
}

/// Outputs and gradients one after the other.
fn flat(fast: Fast) -> Vec<f32> {
    let Fast { outputs: o, gradients: g } = fast;
    let outputs = [o.sequence, o.last, o.final_h, o.final_c];
    let gradients = [g.products, g.recurrent_kernel, g.recurrent_bias, g.initial_h, g.initial_c];
    outputs.into_iter().chain(gradients).flatten().collect()
}

/// Checks the fast form against the reference, and that threads do not change a bit.
fn check_fast(case: &Case) {
    let layer = case.layer();
    let values = wide_values(&case.values());
    let outputs = reference::forward(&layer, &values);
    let mut gradients = reference::backward(&layer, &values, &wide_outputs(&case.d_outputs()));
    if case.cell != Cell::Lstm {
        gradients.initial_c.clear();
    }
    for (isa, _) in each_isa(|cpu| flat(fast(case, cpu, EVERYTHING))) {
        let pool = Pool::new(1);
        let Fast { outputs: got, gradients: mut found } =
            fast(case, Cpu { isa, pool: &pool }, EVERYTHING);
        let what = |name: &str| format!("{name} of {case:?} on {isa:?}");
        let parts_of = case.parts;
        for (name, given, got, want) in [
            ("sequence", parts_of.sequence, &got.sequence, &outputs.sequence),
            ("last", parts_of.last, &got.last, &outputs.last),
            ("final h", parts_of.finals, &got.final_h, &outputs.final_h),
            ("final c", parts_of.finals && case.cell == Cell::Lstm, &got.final_c, &outputs.final_c),
        ] {
            if given {
                assert_near(&wide(got), want, 1e-5, &what(name));
            }
        }
        for ((name, got), (_, want)) in parts(&mut found).into_iter().zip(parts(&mut gradients)) {
            if !(name == "recurrent bias" && want.is_empty()) {
                assert_near(&wide(got), want, 1e-4, &what(name));
            }
        }
    }
}

#[test]
fn reference_gradients_are_differences() {
    for cell in CELLS {
        let size = [3, 4, 3];
        let all = [masked_cases(cell, size), partial_cases(cell, size), dropout_cases(cell, size)];
        all.iter().flatten().for_each(check_differences);
    }
}

#[test]
fn reference_gradients_of_every_activation_are_differences() {
    for cell in CELLS {
        activation_cases(cell, [2, 3, 4]).iter().for_each(check_differences);
    }
}

#[test]
fn ragged_sizes_match_the_reference() {
    for cell in CELLS {
        for units in [1, 7, 16, 17, 33, 64] {
            for (batch, time) in [(1, 1), (3, 5), (8, 5), (9, 5), (3, 0), (0, 5), (33, 2)] {
                check_fast(&Case::new(cell, [batch, time, units]));
            }
        }
    }
}

#[test]
fn masks_match_the_reference() {
    for cell in CELLS {
        masked_cases(cell, [19, 5, 18]).iter().for_each(check_fast);
    }
}

#[test]
fn partial_calls_match_the_reference() {
    for cell in CELLS {
        partial_cases(cell, [4, 3, 9]).iter().for_each(check_fast);
    }
}

#[test]
fn dropout_matches_the_reference() {
    for cell in CELLS {
        for units in [5, 33, 80] {
            dropout_cases(cell, [18, 4, units]).iter().for_each(check_fast);
        }
    }
}

#[test]
fn every_activation_matches_the_reference() {
    for cell in CELLS {
        activation_cases(cell, [5, 3, 19]).iter().for_each(check_fast);
    }
}

/// Enough rows for several parts of the sum, and some rows left.
#[test]
fn many_rows_match_the_reference() {
    for cell in CELLS {
        check_fast(&Case::new(cell, [41, 29, 12]));
    }
}

/// The outputs of inference for a case without dropout, its input being the products themselves:
/// the kernel is the identity.
fn inference(case: &Case, cpu: Cpu<'_>) -> Outputs<f32> {
    let Case { cell, batch, time, units, .. } = *case;
    let columns = cell.gates() * units;
    let values = case.values();
    let identity: Vec<f32> = (0..columns * columns)
        .map(|index| f32::from(u8::from(index / columns == index % columns)))
        .collect();
    let recurrent = &values.recurrent_kernel;
    let mut outputs = Outputs {
        sequence: vec![9.0; batch * time * units],
        last: vec![9.0; batch * units],
        final_h: vec![9.0; batch * units],
        final_c: vec![9.0; if cell == Cell::Lstm { batch * units } else { 0 }],
    };
    macro_rules! call {
        ($weights:expr, $forward:path) => {{
            let weights = $weights;
            let mut direction = Direction::new(&weights, case.backward);
            direction.initial_h = optional(&values.initial_h);
            direction.initial_c = optional(&values.initial_c);
            direction.final_h = Some(&mut outputs.final_h);
            direction.final_c = (cell == Cell::Lstm).then_some(&mut outputs.final_c[..]);
            $forward(
                cpu,
                RecurrentCall {
                    batch,
                    time,
                    activation: case.activations.0,
                    recurrent_activation: case.activations.1,
                    zero_output_for_mask: case.zero_output_for_mask,
                    x: &values.products,
                    mask: case.mask.as_deref(),
                    directions: &mut [direction],
                    sequence: Some(&mut outputs.sequence),
                    last: Some(&mut outputs.last),
                    workspace: &mut vec![f32::NAN; weights.workspace_len(1, batch, time)],
                },
            )
        }};
    }
    let isa = cpu.isa;
    match cell {
        Cell::Lstm => call!(
            lstm::LstmWeights::pack(isa, columns, units, &identity, recurrent, None),
            lstm::forward
        ),
        Cell::Gru { reset_after } => {
            let bias = [vec![0.0; columns], values.recurrent_bias.clone()].concat();
            let bias = (!values.recurrent_bias.is_empty()).then_some(&bias[..]);
            let size = (columns, units);
            call!(
                gru::GruWeights::pack(isa, size, reset_after, &identity, recurrent, bias),
                gru::forward
            );
        }
        Cell::Simple => call!(
            simple_rnn::SimpleRnnWeights::pack(isa, columns, units, &identity, recurrent, None),
            simple_rnn::forward
        ),
    }
    outputs
}

#[test]
fn the_forward_pass_gives_what_inference_gives() {
    for cell in CELLS {
        for mut case in masked_cases(cell, [11, 5, 21]) {
            for activations in [
                (Activation::Tanh, Activation::Sigmoid),
                (Activation::Softsign, Activation::HardSigmoid),
                (Activation::Softmax, Activation::Sigmoid),
            ] {
                case.activations = activations;
                for isa in Isa::available() {
                    let pool = Pool::new(1);
                    let cpu = Cpu { isa, pool: &pool };
                    let (want, got) = (inference(&case, cpu), fast(&case, cpu, EVERYTHING).outputs);
                    for (got, want) in [
                        (&got.sequence, &want.sequence),
                        (&got.last, &want.last),
                        (&got.final_h, &want.final_h),
                        (&got.final_c, &want.final_c),
                    ] {
                        assert_near(&wide(got), &wide(want), 2e-6, &format!("{case:?} on {isa:?}"));
                    }
                }
            }
        }
    }
}

/// What is not asked for changes nothing in what is.
#[test]
fn gradients_may_be_asked_for_one_by_one() {
    let pool = Pool::new(1);
    let cpu = Cpu { isa: Isa::detect(), pool: &pool };
    for cell in CELLS {
        let case = &dropout_cases(cell, [9, 4, 17])[3];
        let all = fast(case, cpu, EVERYTHING).gradients;
        for index in 0..3 {
            let wanted =
                Wanted { d_products: index == 0, d_weights: index == 1, d_states: index == 2 };
            let mut some = fast(case, cpu, wanted).gradients;
            let mut all = all.clone();
            for ((name, some), (_, all)) in parts(&mut some).into_iter().zip(parts(&mut all)) {
                assert!(some.is_empty() || some == all, "{name} of {cell:?} alone");
            }
        }
    }
}

/// A masked step's products reach neither an output nor a gradient.
#[test]
fn masked_steps_may_hold_anything() {
    let pool = Pool::new(1);
    let cpu = Cpu { isa: Isa::detect(), pool: &pool };
    for cell in CELLS {
        for case in masked_cases(cell, [5, 4, 9]) {
            let mask = case.mask.as_deref().unwrap_or_default();
            let columns = cell.gates() * case.units;
            let plain = fast(&case, cpu, EVERYTHING);
            let mut values = case.values();
            for (step, _) in mask.iter().enumerate().filter(|&(_, &mask)| mask == 0) {
                values.products[step * columns..][..columns].fill(f32::NAN);
            }
            let other = fast_of(&case, &values, cpu, EVERYTHING);
            for (step, _) in mask.iter().enumerate().filter(|&(_, &mask)| mask == 0) {
                let d = &other.gradients.products[step * columns..][..columns];
                assert!(d.iter().all(|&d| d == 0.0), "a masked step has a gradient in {case:?}");
            }
            assert!(flat(plain) == flat(other), "a masked step is looked at in {case:?}");
        }
    }
}

#[test]
#[should_panic(expected = "the workspace has 3 values")]
fn a_small_workspace_is_refused() {
    let pool = Pool::new(1);
    let steps = Steps {
        batch: 1,
        time: 1,
        units: 1,
        activation: Activation::Tanh,
        recurrent_activation: Activation::Sigmoid,
        backward: false,
        zero_output_for_mask: false,
        mask: None,
        recurrent_kernel: &[0.0],
        recurrent_dropout: None,
    };
    let call = StepsBackward {
        steps,
        gates: &[0.0],
        saved: &[0.0],
        d_sequence: None,
        d_last: None,
        d_final_h: None,
        d_final_c: None,
        d_products: None,
        d_recurrent_kernel: None,
        d_recurrent_bias: None,
        d_initial_h: None,
        d_initial_c: None,
        workspace: &mut [0.0; 3],
    };
    simple_rnn::training::backward(Cpu { isa: Isa::Portable, pool: &pool }, call);
}
