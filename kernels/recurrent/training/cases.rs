//! What training is tested with.

use super::reference::{Cell, Layer, Outputs, Values};
use crate::Activation;
use crate::fixtures::numbers;

pub const CELLS: [Cell; 4] =
    [Cell::Lstm, Cell::Gru { reset_after: true }, Cell::Gru { reset_after: false }, Cell::Simple];

/// Which optional parts a case has.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    pub bias: bool,
    pub states: bool,
    /// Sets of dropout factors.
    pub dropout: usize,
    pub sequence: bool,
    pub last: bool,
    pub finals: bool,
}

pub const ALL: Parts =
    Parts { bias: true, states: true, dropout: 0, sequence: true, last: true, finals: true };

#[derive(Clone, Debug)]
pub struct Case {
    pub cell: Cell,
    pub batch: usize,
    pub time: usize,
    pub units: usize,
    pub activations: (Activation, Activation),
    pub backward: bool,
    pub zero_output_for_mask: bool,
    pub mask: Option<Vec<u8>>,
    pub parts: Parts,
    /// How far sums spread.
    pub scale: f32,
}

impl Case {
    pub fn new(cell: Cell, [batch, time, units]: [usize; 3]) -> Case {
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

    pub fn layer(&self) -> Layer<'_> {
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
    pub fn values(&self) -> Values<f32> {
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
    pub fn d_outputs(&self) -> Outputs<f32> {
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

pub fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

pub fn wide_values(values: &Values<f32>) -> Values<f64> {
    Values {
        products: wide(&values.products),
        recurrent_kernel: wide(&values.recurrent_kernel),
        recurrent_bias: wide(&values.recurrent_bias),
        initial_h: wide(&values.initial_h),
        initial_c: wide(&values.initial_c),
        recurrent_dropout: wide(&values.recurrent_dropout),
    }
}

pub fn wide_outputs(outputs: &Outputs<f32>) -> Outputs<f64> {
    Outputs {
        sequence: wide(&outputs.sequence),
        last: wide(&outputs.last),
        final_h: wide(&outputs.final_h),
        final_c: wide(&outputs.final_c),
    }
}

/// The values that have gradients, and their names.
pub fn parts<T>(values: &mut Values<T>) -> [(&'static str, &mut Vec<T>); 5] {
    [
        ("products", &mut values.products),
        ("recurrent kernel", &mut values.recurrent_kernel),
        ("recurrent bias", &mut values.recurrent_bias),
        ("initial h", &mut values.initial_h),
        ("initial c", &mut values.initial_c),
    ]
}

/// No row masked, left, right and middle padding, all padding, and everything mixed.
pub fn masks(batch: usize, time: usize) -> Vec<Vec<u8>> {
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
pub fn masked_cases(cell: Cell, size: [usize; 3]) -> Vec<Case> {
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
pub fn partial_cases(cell: Cell, size: [usize; 3]) -> Vec<Case> {
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
pub fn dropout_cases(cell: Cell, size: [usize; 3]) -> Vec<Case> {
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
pub fn activation_cases(cell: Cell, size: [usize; 3]) -> Vec<Case> {
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
