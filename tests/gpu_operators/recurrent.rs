//! Recurrent layers.

use std::sync::Arc;

use seqfuse::Tensor;
use seqfuse::graph::{Graph, Operator};
use seqfuse::ops::{
    Activation, Direction, GeneralRecurrent, Gru, Lstm, RecurrentCell, ScaledActivation, SimpleRnn,
};

use crate::run::*;

const DIRECTIONS: [Direction; 3] =
    [Direction::Forward, Direction::Backward, Direction::Bidirectional];

const CELLS: [RecurrentCell; 4] = [
    RecurrentCell::Lstm,
    RecurrentCell::Gru { reset_after: true },
    RecurrentCell::Gru { reset_after: false },
    RecurrentCell::SimpleRnn,
];

/// A layer of Keras and what it runs on.
#[derive(Clone, Copy, Debug)]
struct Case {
    cell: RecurrentCell,
    /// Batch, time, features, units.
    sizes: [usize; 4],
    direction: Direction,
    /// Of the candidate and of the gates.
    activations: [Activation; 2],
    zero: bool,
    mask: bool,
    states: bool,
    bias: bool,
}

impl Case {
    fn new(cell: RecurrentCell, sizes: [usize; 4]) -> Case {
        Case {
            cell,
            sizes,
            direction: Direction::Forward,
            activations: [Activation::Tanh, Activation::Sigmoid],
            zero: false,
            mask: false,
            states: false,
            bias: true,
        }
    }

    fn states(&self) -> usize {
        if self.cell == RecurrentCell::Lstm { 2 } else { 1 }
    }

    /// The tensors of all slots, in order.
    fn tensors(&self) -> Vec<Option<Tensor>> {
        let [batch, time, features, units] = self.sizes;
        let columns = self.cell.gates() * units;
        let two = self.cell == RecurrentCell::Gru { reset_after: true };
        let bias = if two { vec![2, columns] } else { vec![columns] };
        let mut all = vec![
            Some(floats(&[batch, time, features], 1)),
            self.mask.then(|| truths(&[batch, time], 2)),
        ];
        for direction in 0..self.direction.count() as u64 {
            let seed = 10 * direction;
            all.push(Some(floats(&[features, columns], seed + 3)));
            all.push(Some(scaled(&[units, columns], seed + 4, 1.0 / (units as f32).sqrt())));
            all.push(self.bias.then(|| floats(&bias, seed + 5)));
            for state in 0..self.states() as u64 {
                all.push(self.states.then(|| floats(&[batch, units], seed + 6 + state)));
            }
        }
        all
    }

    /// Whether slot `slot` holds a weight.
    fn is_weight(&self, slot: usize) -> bool {
        slot >= 2 && (slot - 2) % (3 + self.states()) < 3
    }

    fn op(&self) -> Arc<dyn Operator> {
        let &Case { direction, zero, activations: [activation, recurrent_activation], .. } = self;
        let (units, zero_output_for_mask) = (self.sizes[3], zero);
        let (dropout, recurrent_dropout, implementation) = (0.0, 0.0, 2);
        match self.cell {
            RecurrentCell::Lstm => Arc::new(Lstm {
                units,
                direction,
                activation,
                recurrent_activation,
                zero_output_for_mask,
                dropout,
                recurrent_dropout,
                implementation,
            }),
            RecurrentCell::Gru { reset_after } => Arc::new(Gru {
                units,
                direction,
                activation,
                recurrent_activation,
                reset_after,
                zero_output_for_mask,
                dropout,
                recurrent_dropout,
                implementation,
            }),
            RecurrentCell::SimpleRnn => Arc::new(SimpleRnn {
                units,
                direction,
                activation,
                zero_output_for_mask,
                dropout,
                recurrent_dropout,
            }),
        }
    }

    fn check(&self) {
        let tensors = self.tensors();
        let is_input = |slot: usize| !self.is_weight(slot);
        check_node(&format!("{self:?}"), self.op(), &tensors, is_input, None);
    }
}

/// A node of `tensors`, those of which `is_input` is true given with a run, the others weights; the
/// outputs `outputs`, or all.
fn graph_of_node(
    op: Arc<dyn Operator>,
    tensors: &[Option<Tensor>],
    is_input: impl Fn(usize) -> bool,
    outputs: Option<&[usize]>,
) -> (Graph, Vec<Tensor>) {
    let slots = tensors.iter().enumerate();
    let inputs: Vec<Tensor> =
        slots.filter(|(slot, _)| is_input(*slot)).filter_map(|(_, t)| t.clone()).collect();
    let build = |graph: &mut Graph, values: &[_]| {
        let mut given = values.iter().copied();
        let mut slots = Vec::new();
        for (slot, tensor) in tensors.iter().enumerate() {
            slots.push(match tensor {
                None => None,
                Some(_) if is_input(slot) => given.next(),
                Some(tensor) => Some(weight(graph, &format!("w{slot}"), tensor.clone())),
            });
        }
        let found = graph.add_node("node", op, slots).expect("operands that fit");
        match outputs {
            Some(outputs) => outputs.iter().map(|&output| found[output]).collect(),
            None => found,
        }
    };
    (graph(&inputs, build), inputs)
}

/// Checks such a node.
fn check_node(
    what: &str,
    op: Arc<dyn Operator>,
    tensors: &[Option<Tensor>],
    is_input: impl Fn(usize) -> bool,
    outputs: Option<&[usize]>,
) {
    let (graph, inputs) = graph_of_node(op, tensors, is_input, outputs);
    check_stays(what, &graph, &inputs);
}

#[test]
fn ragged_sizes_in_every_direction() {
    let Some(_device) = device() else { return };
    for cell in CELLS {
        for direction in DIRECTIONS {
            for sizes in [[1, 1, 1, 1], [2, 5, 3, 4], [3, 7, 6, 33], [1, 3, 0, 5]] {
                Case { direction, ..Case::new(cell, sizes) }.check();
            }
        }
        for sizes in [[0, 3, 2, 4], [2, 0, 3, 4], [2, 3, 4, 144], [1, 2, 3, 300], [130, 2, 3, 5]] {
            Case { states: true, ..Case::new(cell, sizes) }.check();
        }
    }
}

#[test]
fn masks_and_states() {
    let Some(_device) = device() else { return };
    for cell in CELLS {
        for direction in DIRECTIONS {
            for [mask, zero, states] in [
                [true, false, false],
                [true, true, false],
                [true, false, true],
                [true, true, true],
                [false, true, true],
            ] {
                let case = Case::new(cell, [5, 6, 3, 7]);
                Case { direction, mask, zero, states, ..case }.check();
            }
        }
    }
}

#[test]
fn other_activations_and_no_bias() {
    let Some(_device) = device() else { return };
    let bounded =
        Activation::BoundedRelu { negative_slope: 0.1, max_value: Some(0.75), threshold: 0.25 };
    let threshold = Activation::Threshold { threshold: 0.1, value: 0.05 };
    for cell in CELLS {
        for activations in [
            [Activation::Relu6, Activation::HardSigmoid],
            [Activation::Softsign, Activation::LegacyHardSigmoid],
            [Activation::Linear, Activation::Tanh],
            [bounded, Activation::Sigmoid],
            [Activation::Tanh, threshold],
        ] {
            let case = Case::new(cell, [2, 5, 3, 6]);
            Case { activations, bias: false, ..case }.check();
        }
    }
}

#[test]
fn activations_of_rows() {
    let Some(_device) = device() else { return };
    let rows = [Activation::Softmax, Activation::LogSoftmax, Activation::Sparsemax];
    for cell in CELLS {
        for row in rows {
            for activations in [[row, Activation::Sigmoid], [Activation::Tanh, row], [row, row]] {
                for direction in [Direction::Forward, Direction::Bidirectional] {
                    // With logarithms for gates the states square at each step.
                    let time = if row == Activation::LogSoftmax { 2 } else { 5 };
                    let case = Case::new(cell, [3, time, 3, 6]);
                    let [mask, states] = [direction == Direction::Forward; 2];
                    Case { activations, direction, mask, states, ..case }.check();
                }
            }
        }
        for units in [1, 300, 600] {
            let activations = [Activation::Tanh, Activation::Softmax];
            Case { activations, ..Case::new(cell, [2, 3, 2, units]) }.check();
        }
    }
}

#[test]
fn each_output_alone() {
    let Some(_device) = device() else { return };
    for cell in CELLS {
        let direction = Direction::Bidirectional;
        let case = Case { direction, mask: true, ..Case::new(cell, [3, 4, 2, 5]) };
        for output in 0..2 + 2 * case.states() {
            let is_input = |slot: usize| !case.is_weight(slot);
            let what = format!("{case:?}, output {output}");
            check_node(&what, case.op(), &case.tensors(), is_input, Some(&[output]));
        }
    }
}

#[test]
fn states_above_workgroup_memory() {
    let Some(_device) = device() else { return };
    for cell in CELLS {
        let case = Case::new(cell, [2, 2, 1, 1030]);
        Case { mask: true, states: true, ..case }.check();
    }
}

fn general(cell: RecurrentCell, units: usize) -> GeneralRecurrent {
    GeneralRecurrent {
        cell,
        units,
        backward: false,
        gate: ScaledActivation::plain(Activation::Sigmoid),
        candidate: ScaledActivation::plain(Activation::Tanh),
        output: ScaledActivation::plain(Activation::Tanh),
        clip: None,
        coupled: false,
        zero_output_for_mask: false,
        quantized_state: false,
    }
}

/// Slots that hold weights: all that may, some, and none, so that all are computed.
const WEIGHTS: [&[usize]; 3] = [&[2, 3, 4, 7], &[3, 7], &[]];

/// With everything that there is to give, and with nothing that may be left out.
fn check_general(op: &GeneralRecurrent, sizes: [usize; 3], weights: &[&[usize]]) {
    let [batch, time, features] = sizes;
    let (units, columns) = (op.units, op.cell.gates() * op.units);
    let is_lstm = op.cell == RecurrentCell::Lstm;
    let two = op.cell == RecurrentCell::Gru { reset_after: true };
    let bias = if two { vec![2, columns] } else { vec![columns] };
    let full = vec![
        Some(floats(&[batch, time, features], 1)),
        Some(truths(&[batch, time], 2)),
        Some(floats(&[features, columns], 3)),
        Some(scaled(&[units, columns], 4, 1.0 / (units as f32).sqrt())),
        Some(floats(&bias, 5)),
        Some(floats(&[batch, units], 6)),
        is_lstm.then(|| floats(&[batch, units], 7)),
        is_lstm.then(|| floats(&[3, units], 8)),
    ];
    let mut bare = full.clone();
    for slot in [1, 4, 5, 6, 7] {
        bare[slot] = None;
    }
    let outputs: &[usize] = if is_lstm { &[0, 1, 2, 3] } else { &[0, 1, 2] };
    for tensors in [full, bare] {
        let what = format!("{op:?} of {sizes:?}");
        for weights in weights {
            let is_input = |slot: usize| !weights.contains(&slot);
            check_node(&what, Arc::new(op.clone()), &tensors, is_input, Some(outputs));
        }
    }
}

#[test]
fn general_layers() {
    let Some(_device) = device() else { return };
    let scaled =
        ScaledActivation { function: Activation::HardTanh, scale: 0.5, offset: -0.25, factor: 1.5 };
    for cell in CELLS {
        check_general(&general(cell, 17), [3, 5, 4], &WEIGHTS);
        for (sizes, units) in [([1, 1, 1], 1), ([0, 2, 3], 4), ([2, 0, 3], 4), ([2, 2, 3], 257)] {
            check_general(&general(cell, units), sizes, &WEIGHTS[..1]);
        }
        let base = general(cell, 6);
        let relu = ScaledActivation::plain(Activation::Relu);
        for op in [
            GeneralRecurrent { backward: true, ..base.clone() },
            GeneralRecurrent { zero_output_for_mask: true, ..base.clone() },
            GeneralRecurrent { clip: Some(0.3), ..base.clone() },
            GeneralRecurrent { coupled: true, ..base.clone() },
            GeneralRecurrent { gate: scaled, output: relu, clip: Some(1.0), ..base.clone() },
            GeneralRecurrent { candidate: scaled, ..base.clone() },
        ] {
            check_general(&op, [3, 5, 4], &WEIGHTS[1..2]);
        }
    }
}

/// Checks such a node whose weights in the slots `kernels` may be kept as f16.
fn check_half_node(
    what: &str,
    op: Arc<dyn Operator>,
    tensors: &[Option<Tensor>],
    kernels: &[usize],
    is_input: impl Fn(usize) -> bool,
) {
    let mut near = tensors.to_vec();
    for &slot in kernels {
        near[slot] = near[slot].as_ref().map(rounded);
    }
    let (full, inputs) = graph_of_node(op.clone(), tensors, &is_input, None);
    let (near, _) = graph_of_node(op, &near, &is_input, None);
    check_half(what, &full, &near, &inputs);
}

#[test]
fn kernels_of_half_precision() {
    let Some(_device) = device() else { return };
    let softmax = [Activation::Tanh, Activation::Softmax];
    let threshold = Activation::Threshold { threshold: 0.1, value: 0.05 };
    for cell in CELLS {
        for units in [7, 33] {
            for activations in [[Activation::Tanh, Activation::Sigmoid], [threshold; 2], softmax] {
                let direction = Direction::Bidirectional;
                let case = Case::new(cell, [3, 5, 3, units]);
                let case = Case { direction, activations, mask: true, states: true, ..case };
                let second = 5 + case.states();
                // A GRU's recurrent bias goes with its recurrent kernel.
                let bias = matches!(cell, RecurrentCell::Gru { reset_after: true });
                let mut kernels = vec![2, 3, second, second + 1];
                kernels.extend([4, second + 2].iter().filter(|_| bias));
                let is_input = |slot: usize| !case.is_weight(slot);
                check_half_node(
                    &format!("{case:?}"),
                    case.op(),
                    &case.tensors(),
                    &kernels,
                    is_input,
                );
            }
        }
    }
}

#[test]
fn long_sequences() {
    let Some(_device) = device() else { return };
    // Near what a software adapter's loops can do, and beyond it.
    for cell in CELLS {
        for time in [800, 2000] {
            let what = format!("{cell:?} of {time} steps");
            let tensors = [
                Some(floats(&[1, time, 2], 1)),
                None,
                Some(floats(&[2, cell.gates() * 32], 2)),
                Some(scaled(&[32, cell.gates() * 32], 3, 0.1)),
            ];
            let (is_input, outputs) = (|slot: usize| slot < 2, Some(&[0][..]));
            let node = graph_of_node(Arc::new(general(cell, 32)), &tensors, is_input, outputs);
            match time {
                800 => check_stays(&what, &node.0, &node.1),
                _ => check(&what, &node.0, &node.1),
            }
        }
    }
}
