//! Every spelling of a cell is recognised, and what differs from one is not.

use std::sync::Arc;

use super::algebra::{Index, Read, Reader};
use super::cell::Formula;
use super::step::{State, recognise};
use super::unrolled;
use crate::graph::{DType, Dim, Graph, Operator, Tensor, TensorType, ValueId, VariableKind};
use crate::ops::{
    Activate, Activation, AxisSlice, Binary, BinaryKind, Direction, MatMul, Select, SimpleRnn,
    Slice, Softmax, Take, Transpose,
};

const FEATURES: usize = 3;
const UNITS: usize = 2;

/// A step under construction.
struct Step {
    graph: Graph,
    x: ValueId,
    mask: ValueId,
    h: ValueId,
    c: ValueId,
    count: usize,
}

impl Step {
    fn new() -> Step {
        let mut graph = Graph::new("step");
        let mut row = |name: &str, width: usize| {
            let dims = [Dim::symbol("batch"), Dim::from(width)];
            graph.add_input(name, TensorType::new(DType::F32, dims)).expect("a new name")
        };
        let (x, h, c) = (row("x", FEATURES), row("h", UNITS), row("c", UNITS));
        let ty = TensorType::new(DType::Bool, [Dim::symbol("batch"), Dim::from(1)]);
        let mask = graph.add_input("mask", ty).expect("a new name");
        Step { graph, x, mask, h, c, count: 0 }
    }

    fn weight(&mut self, shape: &[usize]) -> ValueId {
        self.count += 1;
        let size: usize = shape.iter().product();
        let values: Vec<f32> = (0..size).map(|i| ((i * 7 + self.count) % 11) as f32).collect();
        let tensor = Arc::new(Tensor::new(shape.to_vec(), values).expect("as many as the shape"));
        let name = format!("w{}", self.count);
        let id = self.graph.add_variable(name, VariableKind::Parameter, tensor).expect("new");
        self.graph.read(id)
    }

    fn add(&mut self, op: impl Operator, inputs: &[ValueId]) -> ValueId {
        self.graph.add_one("node", op, inputs).expect("inputs that fit")
    }

    fn two(&mut self, kind: BinaryKind, a: ValueId, b: ValueId) -> ValueId {
        self.add(Binary { kind }, &[a, b])
    }

    fn sum(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.two(BinaryKind::Add, a, b)
    }

    fn times(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.two(BinaryKind::Multiply, a, b)
    }

    fn less(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.two(BinaryKind::Subtract, a, b)
    }

    fn bend(&mut self, activation: Activation, x: ValueId) -> ValueId {
        self.add(Activate { activation }, &[x])
    }

    fn number(&mut self, value: f32) -> ValueId {
        self.graph.constant(Tensor::scalar(value))
    }

    fn part(&mut self, x: ValueId, gate: usize) -> ValueId {
        let start = (gate * UNITS) as i64;
        let (start, stop) = (Some(start), Some(start + UNITS as i64));
        self.add(Slice { axes: vec![AxisSlice { axis: 1, start, stop, step: 1 }] }, &[x])
    }

    /// `x·W + h·R + b` with weights of its own.
    fn linear(&mut self, h: ValueId) -> ValueId {
        let (w, r) = (self.weight(&[FEATURES, UNITS]), self.weight(&[UNITS, UNITS]));
        let b = self.weight(&[UNITS]);
        let (a, r) = (self.add(MatMul, &[self.x, w]), self.add(MatMul, &[h, r]));
        let sum = self.sum(a, r);
        self.sum(sum, b)
    }

    /// An LSTM's `h'` and `c'` from a fused product, cut into gates.
    fn lstm(&mut self, activations: [Activation; 4]) -> (ValueId, ValueId) {
        let (w, r) = (self.weight(&[FEATURES, 4 * UNITS]), self.weight(&[UNITS, 4 * UNITS]));
        let b = self.weight(&[4 * UNITS]);
        let (a, r) = (self.add(MatMul, &[self.x, w]), self.add(MatMul, &[self.h, r]));
        let sum = self.sum(r, a);
        let sum = self.sum(b, sum);
        let mut gates = Vec::new();
        for (gate, activation) in activations.into_iter().enumerate() {
            let part = self.part(sum, gate);
            gates.push(self.bend(activation, part));
        }
        let (kept, new) = (self.times(self.c, gates[1]), self.times(gates[2], gates[0]));
        let c = self.sum(new, kept);
        let bent = self.bend(Activation::Tanh, c);
        (self.times(bent, gates[3]), c)
    }

    /// `r` and `z` of a GRU, and its candidate.
    fn gru(&mut self, after: bool, reset: Activation) -> (ValueId, ValueId) {
        let (z, r) = (self.linear(self.h), self.linear(self.h));
        let (z, r) = (self.bend(Activation::Sigmoid, z), self.bend(reset, r));
        let candidate = match after {
            false => {
                let h = self.times(r, self.h);
                self.linear(h)
            }
            true => {
                let (w, own) = (self.weight(&[FEATURES, UNITS]), self.weight(&[UNITS, UNITS]));
                let b = self.weight(&[UNITS]);
                let (x, h) = (self.add(MatMul, &[self.x, w]), self.add(MatMul, &[self.h, own]));
                let inner = self.sum(h, b);
                let inner = self.times(inner, r);
                self.sum(x, inner)
            }
        };
        (z, self.bend(Activation::Tanh, candidate))
    }

    /// What the states `after` and the result are recognised as.
    fn read(
        &self,
        states: &[(ValueId, ValueId)],
        result: ValueId,
    ) -> Result<(Formula, bool), String> {
        let mut reader = Reader::new(&self.graph);
        for value in [self.x, self.mask] {
            assert!(reader.set_row(value), "a row");
            let index = Index { scale: 1, offset: 0, value: None };
            reader.reads.push(Read { value, sequence: value, axis: 0, index });
        }
        for (before, _) in states {
            assert!(reader.set_row(*before), "a row");
        }
        self.graph.nodes().iter().for_each(|node| reader.read(node));
        let states: Vec<State> = states
            .iter()
            .map(|&(before, after)| State { before, after, is_zero: true, is_wanted: true })
            .collect();
        let found = recognise(&mut reader, &states, &[result])?;
        Ok((found.formula, found.mask.is_some()))
    }
}

const GATES: [Activation; 4] =
    [Activation::Sigmoid, Activation::Sigmoid, Activation::Tanh, Activation::Sigmoid];

#[test]
fn a_gru_is_one_however_its_blend_is_written() {
    for after in [false, true] {
        for spelling in 0..3 {
            let mut step = Step::new();
            let (z, g) = step.gru(after, Activation::Sigmoid);
            let h = match spelling {
                0 => {
                    let one = step.number(1.0);
                    let rest = step.less(one, z);
                    let (old, new) = (step.times(z, step.h), step.times(rest, g));
                    step.sum(old, new)
                }
                1 => {
                    let difference = step.less(step.h, g);
                    let part = step.times(difference, z);
                    step.sum(part, g)
                }
                _ => {
                    let part = step.times(z, g);
                    let new = step.less(g, part);
                    let old = step.times(step.h, z);
                    step.sum(new, old)
                }
            };
            let found = step.read(&[(step.h, h)], h);
            let is_gru = matches!(&found,
                Ok((Formula::Gru { reset_after, .. }, false)) if *reset_after == after);
            assert!(is_gru, "{after} {spelling}: {found:?}");
        }
    }
}

#[test]
fn gates_of_different_activations_are_no_gru() {
    let mut step = Step::new();
    let (z, g) = step.gru(true, Activation::Tanh);
    let difference = step.less(step.h, g);
    let part = step.times(difference, z);
    let h = step.sum(part, g);
    let miss = step.read(&[(step.h, h)], h).expect_err("z and r differ");
    assert!(miss.contains("update and reset gate have different activations"), "{miss}");
}

#[test]
fn an_update_gate_that_blends_another_state_is_no_gru() {
    let mut step = Step::new();
    let (z, g) = step.gru(true, Activation::Sigmoid);
    let difference = step.less(step.c, g);
    let part = step.times(difference, z);
    let h = step.sum(part, g);
    let found = step.read(&[(step.h, h), (step.c, step.c)], h);
    assert!(found.is_err(), "{found:?}");
}

#[test]
fn an_lstm_is_one_with_its_mask_on_both_states_only() {
    for (masked_h, masked_c) in [(false, false), (true, true), (true, false), (false, true)] {
        let mut step = Step::new();
        let (h, c) = step.lstm(GATES);
        let (old_h, old_c, mask) = (step.h, step.c, step.mask);
        let h = if masked_h { step.add(Select, &[mask, h, old_h]) } else { h };
        let c = if masked_c { step.add(Select, &[mask, c, old_c]) } else { c };
        let found = step.read(&[(old_h, h), (old_c, c)], h);
        let is_lstm = matches!(&found, Ok((Formula::Lstm { .. }, mask)) if *mask == masked_h);
        assert_eq!(is_lstm, masked_h == masked_c, "{masked_h} {masked_c}: {found:?}");
    }
}

#[test]
fn an_lstm_whose_gates_differ_is_none() {
    let mut step = Step::new();
    let (h, c) = step.lstm([
        Activation::Sigmoid,
        Activation::HardSigmoid,
        Activation::Tanh,
        Activation::Sigmoid,
    ]);
    let found = step.read(&[(step.h, h), (step.c, c)], h);
    assert!(found.is_err(), "{found:?}");
}

#[test]
fn a_simple_cell_has_the_activations_that_are_spelled_out() {
    for spelled in [Activation::Tanh, Activation::Silu, Activation::HardSigmoid] {
        let mut step = Step::new();
        let y = step.linear(step.h);
        let h = match spelled {
            Activation::Silu => {
                let bent = step.bend(Activation::Sigmoid, y);
                step.times(y, bent)
            }
            Activation::HardSigmoid => {
                let (three, sixth) = (step.number(3.0), step.number(1.0 / 6.0));
                let y = step.sum(y, three);
                let bent = step.bend(Activation::Relu6, y);
                step.times(bent, sixth)
            }
            other => step.bend(other, y),
        };
        let found = step.read(&[(step.h, h)], h);
        let is_simple = matches!(&found,
            Ok((Formula::Simple { activation, .. }, _)) if *activation == spelled);
        assert!(is_simple, "{spelled:?}: {found:?}");
    }
}

#[test]
fn what_is_collected_must_be_the_hidden_state() {
    let mut step = Step::new();
    let (h, c) = step.lstm(GATES);
    let miss = step.read(&[(step.h, h), (step.c, c)], c).expect_err("c is collected");
    assert!(miss.contains("not the hidden state"), "{miss}");
}

/// Three steps of a simple cell over `x` `[batch, 3, features]`; `odd` gives the last its own weight.
fn written_out(odd: bool) -> Graph {
    let mut step = Step::new();
    let dims = [Dim::symbol("batch"), Dim::from(3), Dim::from(FEATURES)];
    let x = step.graph.add_input("xs", TensorType::new(DType::F32, dims)).expect("a new name");
    let (w, r) = (step.weight(&[FEATURES, UNITS]), step.weight(&[UNITS, UNITS]));
    let (b, other) = (step.weight(&[UNITS]), step.weight(&[UNITS, UNITS]));
    let mut h = step.h;
    for index in 0..3i64 {
        let place = step.graph.constant(Tensor::scalar(index));
        let own = step.add(Take { axis: 1 }, &[x, place]);
        let matrix = if odd && index == 2 { other } else { r };
        let (left, right) = (step.add(MatMul, &[own, w]), step.add(MatMul, &[h, matrix]));
        let sum = step.sum(left, right);
        let sum = step.sum(sum, b);
        h = step.bend(Activation::Tanh, sum);
    }
    step.graph.add_output("y", h).expect("the only one");
    step.graph
}

#[test]
fn steps_with_the_weights_of_one_cell_are_a_layer() {
    let raised = unrolled::raise(&written_out(false)).expect("a valid Graph").expect("a layer");
    let names: Vec<_> = raised.nodes().iter().map(|node| node.op.name()).collect();
    assert!(names.contains(&"simple_rnn"), "{names:?}");
}

#[test]
fn a_step_with_another_weight_is_no_part_of_a_layer() {
    let raised = unrolled::raise(&written_out(true)).expect("a valid Graph");
    assert!(raised.is_none(), "{:?}", raised.map(|graph| graph.to_string()));
}

/// The names of the operators after raising.
fn raised(graph: &Graph) -> Vec<&'static str> {
    let (graph, _) = super::raise(graph).expect("raises");
    graph.verify().expect("is valid");
    graph.nodes().iter().map(|node| node.op.name()).collect()
}

/// `softmax(mask ? q·k : far)·v` over one sequence.
fn replaced_scores(far: f32) -> Graph {
    let mut graph = Graph::new("scores");
    let mut matrix = |name: &str, rows: usize, columns: usize| {
        graph.add_input(name, TensorType::known(DType::F32, &[rows, columns])).expect("new")
    };
    let (q, k, v) = (matrix("q", 4, 3), matrix("k", 3, 4), matrix("v", 4, 5));
    let mask = graph.add_input("mask", TensorType::known(DType::Bool, &[4, 4])).expect("new");
    let far = graph.constant(Tensor::scalar(far));
    let scores = graph.add_one("scores", MatMul, &[q, k]).expect("fits");
    let masked = graph.add_one("masked", Select, &[mask, scores, far]).expect("fits");
    let weights = graph.add_one("weights", Softmax { axis: 1, log: false }, &[masked]);
    let y = graph.add_one("y", MatMul, &[weights.expect("fits"), v]).expect("fits");
    graph.add_output("y", y).expect("new");
    graph
}

#[test]
fn scores_that_a_mask_replaces_count_unless_the_number_hides_them() {
    assert!(raised(&replaced_scores(-1e9)).contains(&"attention"));
    for counts in [0.0, -5.0, 1e9] {
        assert!(!raised(&replaced_scores(counts)).contains(&"attention"), "{counts}");
    }
}

/// The last step of a layer's sequence, of which `permutation` moves the axes first.
fn last_step(permutation: [usize; 3], axis: usize) -> Graph {
    let mut step = Step::new();
    let ty = TensorType::known(DType::F32, &[UNITS, 4, FEATURES]);
    let x = step.graph.add_input("sequence", ty).expect("new");
    let (kernel, recurrent) = (step.weight(&[FEATURES, UNITS]), step.weight(&[UNITS, UNITS]));
    let op = SimpleRnn {
        units: UNITS,
        direction: Direction::Forward,
        activation: Activation::Tanh,
        zero_output_for_mask: false,
        dropout: 0.0,
        recurrent_dropout: 0.0,
    };
    let inputs = vec![Some(x), None, Some(kernel), Some(recurrent)];
    let sequence = step.graph.add_node("rnn", Arc::new(op), inputs).expect("fits")[0];
    let moved = step.add(Transpose { permutation: permutation.to_vec() }, &[sequence]);
    let index = step.graph.constant(Tensor::scalar(-1i64));
    let last = step.add(Take { axis }, &[moved, index]);
    step.graph.add_output("last", last).expect("new");
    step.graph
}

#[test]
fn the_last_step_is_the_last_output_unless_batch_and_units_change_places() {
    assert!(!raised(&last_step([1, 0, 2], 0)).contains(&"take"));
    // The sizes of batch and units are the same here.
    assert!(raised(&last_step([2, 1, 0], 1)).contains(&"take"));
}
