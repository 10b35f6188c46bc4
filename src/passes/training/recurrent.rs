//! Recurrent layers: the products of the input, then the recurrence of each direction.

use std::sync::Arc;

use super::noise::Streams;
use crate::graph::{Dim, Graph, GraphError, OpError, Operator, Tensor, ValueId};
use crate::ops::recurrent::{CellSlots, MASK};
use crate::ops::{
    Activation, AxisSlice, Concat, Dense, Direction, FullLike, Gru, Lstm, RecurrentCell,
    RecurrentSteps, Reduce, ReduceKind, Reshape, SimpleRnn, Slice, Tile,
};

/// What the three recurrent operators have in common.
pub(super) struct Layer {
    steps: RecurrentSteps,
    slots: CellSlots,
    direction: Direction,
    dropout: f32,
    recurrent_dropout: f32,
    /// Whether each gate has factors of its own.
    by_gate: bool,
    op: &'static str,
}

macro_rules! layer {
    ($op:ident, $cell:expr, $recurrent:expr) => {
        Layer {
            steps: RecurrentSteps {
                cell: $cell,
                units: $op.units,
                backward: $op.direction == Direction::Backward,
                activation: $op.activation,
                recurrent_activation: $recurrent,
                zero_output_for_mask: $op.zero_output_for_mask,
            },
            direction: $op.direction,
            dropout: $op.dropout,
            recurrent_dropout: $op.recurrent_dropout,
            by_gate: false,
            slots: CellSlots { states: 1 },
            op: $op.name(),
        }
    };
}

impl Layer {
    pub fn lstm(op: &Lstm) -> Layer {
        let layer = layer!(op, RecurrentCell::Lstm, op.recurrent_activation);
        Layer { slots: Lstm::SLOTS, ..layer }.gated(op.implementation)
    }

    pub fn gru(op: &Gru) -> Layer {
        let cell = RecurrentCell::Gru { reset_after: op.reset_after };
        layer!(op, cell, op.recurrent_activation).gated(op.implementation)
    }

    pub fn simple_rnn(op: &SimpleRnn) -> Layer {
        layer!(op, RecurrentCell::SimpleRnn, Activation::Linear)
    }

    /// With the dropout of a cell with gates: a rate of 1 counts as none there, as in Keras, and
    /// dropout of the state brings factors for each gate with it.
    fn gated(self, implementation: u8) -> Layer {
        let by_gate = implementation == 1 || self.recurrent_dropout != 0.0;
        let rate = |rate: f32| if rate < 1.0 { rate } else { 0.0 };
        let (dropout, recurrent_dropout) = (rate(self.dropout), rate(self.recurrent_dropout));
        Layer { by_gate, dropout, recurrent_dropout, ..self }
    }

    /// The values for the outputs of the layer.
    pub fn expand(
        &self,
        graph: &mut Graph,
        name: &str,
        inputs: &[Option<ValueId>],
        streams: &mut Streams,
    ) -> Result<Vec<ValueId>, GraphError> {
        let mut parts = Vec::new();
        for direction in 0..self.direction.count() {
            let mut walk = Walk { layer: self, graph, name, inputs, streams, direction };
            parts.push(walk.add()?);
        }
        let mut outputs = match &parts[..] {
            [forward, backward] => vec![
                graph.add_one(name, Concat { axis: 2 }, &[forward[0], backward[0]])?,
                graph.add_one(name, Concat { axis: 1 }, &[forward[1], backward[1]])?,
            ],
            [one] => one[..2].to_vec(),
            _ => Vec::new(),
        };
        for part in &parts {
            outputs.extend_from_slice(&part[RecurrentSteps::FINAL_H..][..self.slots.states]);
        }
        Ok(outputs)
    }
}

/// One direction of a layer on its way into a Graph.
struct Walk<'a> {
    layer: &'a Layer,
    graph: &'a mut Graph,
    name: &'a str,
    inputs: &'a [Option<ValueId>],
    streams: &'a mut Streams,
    direction: usize,
}

impl Walk<'_> {
    fn add(&mut self) -> Result<Vec<ValueId>, GraphError> {
        let (slots, direction) = (self.layer.slots, self.direction);
        let bias = self.optional(slots.bias(direction));
        let (bias, recurrent_bias) = match (self.layer.steps.cell, bias) {
            (RecurrentCell::Gru { reset_after: true }, Some(bias)) => {
                (Some(self.bias_row(bias, 0)?), Some(self.bias_row(bias, 1)?))
            }
            _ => (bias, None),
        };
        let products = self.products(bias)?;
        let mut inputs = vec![None; 7];
        inputs[RecurrentSteps::PRODUCTS] = Some(products);
        inputs[RecurrentSteps::MASK] = self.optional(MASK);
        let kernel = self.needed(slots.recurrent_kernel(direction))?;
        inputs[RecurrentSteps::RECURRENT_KERNEL] = Some(kernel);
        inputs[RecurrentSteps::RECURRENT_BIAS] = recurrent_bias;
        for state in 0..slots.states {
            inputs[RecurrentSteps::STATE_H + state] = self.optional(slots.state(direction, state));
        }
        if self.layer.recurrent_dropout > 0.0 {
            let factors = self.recurrent_factors(products)?;
            inputs[RecurrentSteps::RECURRENT_DROPOUT] = Some(factors);
        }
        let backward = direction == 1 || self.layer.steps.backward;
        let steps = RecurrentSteps { backward, ..self.layer.steps.clone() };
        self.graph.add_node(self.name, Arc::new(steps), inputs)
    }

    fn optional(&self, slot: usize) -> Option<ValueId> {
        self.inputs.get(slot).copied().flatten()
    }

    fn needed(&self, slot: usize) -> Result<ValueId, GraphError> {
        self.optional(slot).ok_or_else(|| GraphError::Node {
            node: self.name.to_owned(),
            op: self.layer.op,
            source: OpError::Missing { input: self.layer.slots.name(slot).into_owned() },
        })
    }

    fn one(&mut self, op: impl Operator, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        self.graph.add_one(self.name, op, inputs)
    }

    /// Positions `start..end` of one axis.
    fn cut(
        &mut self,
        x: ValueId,
        axis: usize,
        start: usize,
        end: usize,
    ) -> Result<ValueId, GraphError> {
        let (start, stop) = (Some(start as i64), Some(end as i64));
        self.one(Slice { axes: vec![AxisSlice { axis, start, stop, step: 1 }] }, &[x])
    }

    /// Row `row` of a GRU's bias `[2, 3*units]`.
    fn bias_row(&mut self, bias: ValueId, row: usize) -> Result<ValueId, GraphError> {
        let columns = self.layer.steps.cell.gates() * self.layer.steps.units;
        let row = self.cut(bias, 0, row, row + 1)?;
        self.one(Reshape::to([Dim::Known(columns)]), &[row])
    }

    /// `x·W + b` for all steps, of a dropped x.
    fn products(&mut self, bias: Option<ValueId>) -> Result<ValueId, GraphError> {
        let x = self.needed(0)?;
        let kernel = self.needed(self.layer.slots.kernel(self.direction))?;
        let rate = self.layer.dropout;
        if rate == 0.0 {
            return self.product(x, kernel, bias);
        }
        // The factors are the same at every step.
        let time = [1];
        if !self.layer.by_gate {
            let x = self.streams.drop(self.graph, self.name, rate, &time, x)?;
            return self.product(x, kernel, bias);
        }
        let units = self.layer.steps.units;
        let mut gates = Vec::new();
        for gate in 0..self.layer.steps.cell.gates() {
            let x = self.streams.drop(self.graph, self.name, rate, &time, x)?;
            let (start, end) = (gate * units, (gate + 1) * units);
            let kernel = self.cut(kernel, 1, start, end)?;
            let bias = bias.map(|bias| self.cut(bias, 0, start, end)).transpose()?;
            gates.push(self.product(x, kernel, bias)?);
        }
        self.one(Concat { axis: 2 }, &gates)
    }

    fn product(
        &mut self,
        x: ValueId,
        kernel: ValueId,
        bias: Option<ValueId>,
    ) -> Result<ValueId, GraphError> {
        let dense = Dense { contract: 1, activation: Activation::Linear };
        let inputs = vec![Some(x), Some(kernel), bias];
        Ok(self.graph.add_node(self.name, Arc::new(dense), inputs)?[0])
    }

    /// The factors of h, `[gates, batch, units]`, or `[1, batch, units]` for a cell without gates.
    fn recurrent_factors(&mut self, products: ValueId) -> Result<ValueId, GraphError> {
        let units = self.layer.steps.units;
        // A value of the right shape, for a batch of any size and sequences of any length.
        let sums = self.cut(products, 2, 0, units)?;
        let reduce = Reduce { kind: ReduceKind::Sum, first: 1, count: 1, keepdims: false };
        let state = self.one(reduce, &[sums])?;
        let one = self.graph.constant(Tensor::scalar(1.0f32));
        let ones = self.one(FullLike, &[state, one])?;
        let mut dims = self.graph.ty(ones).dims.clone();
        dims.insert(0, Dim::Known(1));
        let ones = self.one(Reshape::to(dims), &[ones])?;
        let sets = self.layer.steps.cell.gates();
        let ones = self.one(Tile { repeats: vec![sets, 1, 1] }, &[ones])?;
        self.streams.drop(self.graph, self.name, self.layer.recurrent_dropout, &[], ones)
    }
}
