//! Gradients of the reference against differences, the fast form against the reference, and the
//! forward pass against inference.

use super::reference::{self, Cell, Layer, Outputs, Values};
use super::{Steps, StepsBackward, StepsCall};
use crate::fixtures::{each_isa, numbers};
use crate::{Activation, Cpu, Isa, gru, lstm, simple_rnn};

const CELLS: [Cell; 4] =
    [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }, Cell::Simple];

/// Which optional parts a case has.
#[derive(Clone, Copy, Debug)]
struct Parts {
    bias: bool,
    states: bool,
    /// Sets of dropout factors.
    dropout: usize,
    sequence: bool,
    last: bool,
    finals: bool,
}

const ALL: Parts =
    Parts { bias: true, states: true, dropout: 0, sequence: true, last: true, finals: true };

#[derive(Clone, Debug)]
struct Case {
    cell: Cell,
    batch: usize,
    time: usize,
    units: usize,
    activations: (Activation, Activation),
    backward: bool,
    zero_output_for_mask: bool,
    mask: Option<Vec<u8>>,
    parts: Parts,
    /// How far sums spread.
    scale: f32,
}

impl Case {
    fn new(cell: Cell, [batch, time, units]: [usize; 3]) -> Case {
        Case {
            cell,
            batch,
            time,
            units,
            activations: (Activation::Tanh, Activation::Sigmoid),
            backward: false,
            zero_output_for_mask: false,
            mask: None,
            parts: ALL,
            scale: 1.0,
        }
    }

    fn layer(&self) -> Layer<'_> {
        Layer {
            cell: self.cell,
            batch: self.batch,
            time: self.time,
            units: self.units,
            activation: self.activations.0,
            recurrent_activation: self.activations.1,
            backward: self.backward,
            zero_output_for_mask: self.zero_output_for_mask,
            mask: self.mask.as_deref(),
        }
    }

    /// Repeatable numbers, each set with its own seed.
    fn values(&self) -> Values<f32> {
        let (columns, state) = (self.cell.gates() * self.units, self.batch * self.units);
        let scaled = |len: usize, seed: u64, scale: f32| -> Vec<f32> {
            numbers(len, seed).into_iter().map(|value| value * scale).collect()
        };
        let given = |wanted: bool, len: usize, seed: u64| {
            if wanted { scaled(len, seed, self.scale) } else { Vec::new() }
        };
        let after = self.cell == Cell::Gru { reset_after: true };
        let dropout = numbers(self.parts.dropout * state, 6);
        Values {
            products: scaled(self.batch * self.time * columns, 1, self.scale),
            recurrent_kernel: scaled(
                self.units * columns,
                2,
                self.scale / (self.units as f32).sqrt().max(1.0),
            ),
            recurrent_bias: given(self.parts.bias && after, columns, 3),
            initial_h: given(self.parts.states, state, 4),
            initial_c: given(self.parts.states && self.cell == Cell::Lstm, state, 5),
            recurrent_dropout: dropout
                .into_iter()
                .map(|value| if value > -0.5 { 1.25 } else { 0.0 })
                .collect(),
        }
    }

    /// Gradients of the outputs that are wanted.
    fn d_outputs(&self) -> Outputs<f32> {
        let state = self.batch * self.units;
        let given =
            |wanted: bool, len: usize, seed: u64| numbers(if wanted { len } else { 0 }, seed);
        Outputs {
            sequence: given(self.parts.sequence, state * self.time, 11),
            last: given(self.parts.last, state, 12),
            final_h: given(self.parts.finals, state, 13),
            final_c: given(self.parts.finals && self.cell == Cell::Lstm, state, 14),
        }
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

fn wide_values(values: &Values<f32>) -> Values<f64> {
    Values {
        products: wide(&values.products),
        recurrent_kernel: wide(&values.recurrent_kernel),
        recurrent_bias: wide(&values.recurrent_bias),
        initial_h: wide(&values.initial_h),
        initial_c: wide(&values.initial_c),
        recurrent_dropout: wide(&values.recurrent_dropout),
    }
}

fn wide_outputs(outputs: &Outputs<f32>) -> Outputs<f64> {
    Outputs {
        sequence: wide(&outputs.sequence),
        last: wide(&outputs.last),
        final_h: wide(&outputs.final_h),
        final_c: wide(&outputs.final_c),
    }
}

/// The values that have gradients, and their names.
fn parts<T>(values: &mut Values<T>) -> [(&'static str, &mut Vec<T>); 5] {
    [
        ("products", &mut values.products),
        ("recurrent kernel", &mut values.recurrent_kernel),
        ("recurrent bias", &mut values.recurrent_bias),
        ("initial h", &mut values.initial_h),
        ("initial c", &mut values.initial_c),
    ]
}

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
    let (values, d) = (case.values(), case.d_outputs());
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
    match cell {
        Cell::Lstm => [
            lstm::training::saved_len(batch, time, units),
            lstm::training::workspace_len(isa, size, dropout),
            lstm::training::backward_workspace_len(isa, size, dropout),
        ],
        Cell::Gru { reset_after } => [
            gru::training::saved_len(reset_after, batch, time, units),
            gru::training::workspace_len(reset_after, isa, size, dropout),
            gru::training::backward_workspace_len(reset_after, isa, size, dropout),
        ],
        Cell::Simple => [
            simple_rnn::training::saved_len(batch, time, units),
            simple_rnn::training::workspace_len(isa, size, dropout),
            simple_rnn::training::backward_workspace_len(isa, size, dropout),
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
        let pool = crate::Pool::new(1);
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

/// No row masked, left, right and middle padding, all padding, and everything mixed.
fn masks(batch: usize, time: usize) -> Vec<Vec<u8>> {
    let make = |keep: &dyn Fn(usize, usize) -> bool| {
        (0..batch * time).map(|index| u8::from(keep(index / time, index % time)) * 3).collect()
    };
    vec![
        make(&|b, t| t >= b % time),
        make(&|b, t| t < b % (time + 1)),
        make(&|b, t| t == 0 || t + 1 == time || b == 1),
        make(&|_, _| false),
        make(&|b, t| (b * 31 + t * 17) % 5 < 2),
    ]
}

/// Every mask, direction and treatment of masked outputs.
fn masked_cases(cell: Cell, size: [usize; 3]) -> Vec<Case> {
    let mut cases = Vec::new();
    for mask in masks(size[0], size[1]) {
        for backward in [false, true] {
            for zero_output_for_mask in [false, true] {
                let mut case = Case::new(cell, size);
                (case.mask, case.backward) = (Some(mask.clone()), backward);
                case.zero_output_for_mask = zero_output_for_mask;
                cases.push(case);
            }
        }
    }
    cases
}

/// Every combination of outputs, with and without states and bias.
fn partial_cases(cell: Cell, size: [usize; 3]) -> Vec<Case> {
    let mut cases = Vec::new();
    for bits in 0..32 {
        let has = |bit: u32| bits >> bit & 1 == 1;
        let mut case = Case::new(cell, size);
        case.parts = Parts {
            bias: has(0),
            states: has(1),
            dropout: 0,
            sequence: has(2),
            last: has(3),
            finals: has(4),
        };
        case.mask = masks(size[0], size[1]).pop().filter(|_| has(0));
        cases.push(case);
    }
    cases
}

/// One set of factors for all gates, and one for each.
fn dropout_cases(cell: Cell, size: [usize; 3]) -> Vec<Case> {
    let mut cases = Vec::new();
    for dropout in [1, cell.gates()] {
        for mask in [None, masks(size[0], size[1]).pop()] {
            let mut case = Case::new(cell, size);
            case.parts.dropout = dropout;
            case.mask = mask;
            cases.push(case);
        }
    }
    cases
}

/// Every activation in either place.
fn activation_cases(cell: Cell, size: [usize; 3]) -> Vec<Case> {
    let names = [
        "linear",
        "relu",
        "leaky_relu",
        "relu6",
        "celu",
        "elu",
        "selu",
        "softplus",
        "softsign",
        "squareplus",
        "soft_shrink",
        "hard_shrink",
        "sparse_plus",
        "sparse_sigmoid",
        "silu",
        "gelu",
        "tanh",
        "tanh_shrink",
        "sigmoid",
        "exponential",
        "hard_sigmoid",
        "hard_silu",
        "hard_tanh",
        "mish",
        "log_sigmoid",
        "softmax",
        "log_softmax",
        "sparsemax",
    ];
    let named = names.iter().map(|name| Activation::from_keras(name).expect("Keras's name"));
    let further = [
        Activation::Gelu { approximate: true },
        Activation::LegacyHardSigmoid,
        Activation::Threshold { threshold: 0.1, value: -0.25 },
        Activation::BoundedRelu { negative_slope: 0.25, max_value: Some(0.75), threshold: 0.125 },
        Activation::Elu { alpha: 0.5 },
        Activation::Celu { alpha: 0.5 },
    ];
    let mut cases = Vec::new();
    for activation in named.chain(further) {
        for place in 0..2 {
            let mut case = Case::new(cell, size);
            // Unbounded gates grow with time: keep all sums small.
            case.scale = 0.5;
            if place == 0 {
                case.activations.0 = activation;
            } else {
                case.activations.1 = activation;
            }
            case.mask = masks(size[0], size[1]).pop().filter(|_| place == 0);
            cases.push(case);
        }
    }
    cases
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
