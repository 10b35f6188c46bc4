//! A recurrent layer between two reversals walks backwards; its last step is its last output.
//!
//! Reversals move behind the transposes and reshapes that take them, so that they meet.

use super::expand::node_of;
use super::layers::{directed, direction};
use super::outside;
use crate::graph::{Dim, Edit, Graph, GraphError, Node, ValueId};
use crate::ops::recurrent::MASK;
use crate::ops::{BroadcastTo, Direction, Reshape, Reverse, ReverseSequence, Slice, Transpose};

/// The axis of time.
const TIME: usize = 1;
/// The slot of the sequence.
const X: usize = 0;

/// The Graph with layers that walk backwards in place of reversals.
///
/// # Errors
/// If the result is not valid.
pub fn raise(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        let values = Rule { graph: new, node, inputs }.apply()?;
        Ok(values.map_or(Edit::Keep, Edit::Replace))
    })
}

/// A node, and the new Graph that it goes to.
struct Rule<'a> {
    graph: &'a mut Graph,
    node: &'a Node,
    inputs: &'a [Option<ValueId>],
}

impl Rule<'_> {
    fn apply(mut self) -> Result<Option<Vec<ValueId>>, GraphError> {
        if direction(&self.node.op).is_some() {
            return self.layer();
        }
        let Some(&Some(x)) = self.inputs.first() else { return Ok(None) };
        let op = &self.node.op;
        let value = if let Some(reverse) = op.downcast_ref::<Reverse>() {
            self.reverse(x, reverse.axis)?
        } else if let Some(reverse) = op.downcast_ref::<ReverseSequence>() {
            self.sequences(x, reverse.time_axis)?
        } else if let Some(transpose) = op.downcast_ref::<Transpose>() {
            let axes = transpose.permutation.clone();
            self.behind(x, |_, axis| axes.iter().position(|from| *from == axis))?
        } else if op.downcast_ref::<Reshape>().is_some() {
            let output = self.graph_dims();
            self.behind(x, |dims, axis| same_axis(dims, axis, &output))?
        } else if let Some(slice) = op.downcast_ref::<Slice>() {
            self.step(x, &slice.clone())?
        } else {
            None
        };
        Ok(value.map(|value| vec![value]))
    }

    /// The sizes that a reshape makes.
    fn graph_dims(&self) -> Vec<Dim> {
        self.node.op.downcast_ref::<Reshape>().map_or(Vec::new(), |reshape| reshape.dims.clone())
    }

    /// What a value is the reversal of, and along which axis.
    fn reversed(&self, value: ValueId) -> Option<(ValueId, usize)> {
        let node = node_of(self.graph, value)?;
        let axis = node.op.downcast_ref::<Reverse>()?.axis;
        Some((node.inputs.first().copied()??, axis))
    }

    fn reverse(&self, x: ValueId, axis: usize) -> Result<Option<ValueId>, GraphError> {
        let before = self.reversed(x).filter(|(_, other)| *other == axis);
        Ok(before.map(|(source, _)| source))
    }

    /// A reversal of sequences that all are as long as the axis.
    fn sequences(&mut self, x: ValueId, axis: usize) -> Result<Option<ValueId>, GraphError> {
        let Some(&Some(lengths)) = self.inputs.get(1) else { return Ok(None) };
        let whole = self.graph.ty(x).dims[axis].clone();
        if length(self.graph, lengths) != Some(whole) {
            return Ok(None);
        }
        match self.reverse(x, axis)? {
            Some(source) => Ok(Some(source)),
            None => self.graph.add_one(&self.node.name, Reverse { axis }, &[x]).map(Some),
        }
    }

    /// The node before a reversal instead of behind it; `axis` says where its axis goes.
    fn behind(
        &mut self,
        x: ValueId,
        axis: impl Fn(&[Dim], usize) -> Option<usize>,
    ) -> Result<Option<ValueId>, GraphError> {
        let Some((source, from)) = self.reversed(x) else { return Ok(None) };
        let Some(to) = axis(&self.graph.ty(source).dims, from) else { return Ok(None) };
        let op = self.node.op.clone();
        let moved = self.graph.add_node(&self.node.name, op, vec![Some(source)])?;
        let Some(&moved) = moved.first() else { return Ok(None) };
        self.graph.add_one(&self.node.name, Reverse { axis: to }, &[moved]).map(Some)
    }

    /// The first step of what is reversed is the last one, and the other way round.
    fn step(&mut self, x: ValueId, slice: &Slice) -> Result<Option<ValueId>, GraphError> {
        let ([part], Some((source, axis))) = (&slice.axes[..], self.reversed(x)) else {
            return Ok(None);
        };
        let (start, stop) = match (part.start, part.stop, part.step) {
            (Some(-1), None, 1) => (Some(0), Some(1)),
            (None | Some(0), Some(1), 1) => (Some(-1), None),
            _ => return Ok(None),
        };
        if part.axis != axis {
            return Ok(None);
        }
        let mut slice = slice.clone();
        (slice.axes[0].start, slice.axes[0].stop) = (start, stop);
        self.graph.add_one(&self.node.name, slice, &[source]).map(Some)
    }

    /// The layer on what its input and mask are the reversal of, its sequence reversed.
    fn layer(&mut self) -> Result<Option<Vec<ValueId>>, GraphError> {
        let along = |value: Option<ValueId>| {
            let (source, axis) = self.reversed(value?)?;
            (axis == TIME).then_some(source)
        };
        let given = |slot: usize| self.inputs.get(slot).copied().flatten();
        let (x, mask) = (along(given(X)), along(given(MASK)));
        if x.is_none() || given(MASK).is_some() != mask.is_some() {
            return Ok(None);
        }
        let other = |direction: Direction| match direction {
            Direction::Forward => Some(Direction::Backward),
            Direction::Backward => Some(Direction::Forward),
            Direction::Bidirectional => None,
        };
        let Some(op) = directed(&self.node.op, other) else { return Ok(None) };
        let mut inputs = self.inputs.to_vec();
        inputs[X] = x;
        if mask.is_some() {
            inputs[MASK] = mask;
        }
        let mut outputs = self.graph.add_node(&self.node.name, op, inputs)?;
        outputs[0] = self.graph.add_one(&self.node.name, Reverse { axis: TIME }, &[outputs[0]])?;
        Ok(Some(outputs))
    }
}

/// Where an axis goes in a reshape that puts in and takes out axes of size 1 alone.
fn same_axis(dims: &[Dim], axis: usize, output: &[Dim]) -> Option<usize> {
    let large = |dims: &[Dim]| -> Vec<usize> {
        (0..dims.len()).filter(|axis| dims[*axis] != Dim::Known(1)).collect()
    };
    let (before, after) = (large(dims), large(output));
    let is_same = before.len() == after.len()
        && before.iter().zip(&after).all(|(a, b)| dims[*a] == output[*b]);
    let place = before.iter().position(|large| *large == axis)?;
    after.get(place).copied().filter(|_| is_same)
}

/// The one length of all sequences.
fn length(graph: &Graph, mut value: ValueId) -> Option<Dim> {
    while let Some(node) = node_of(graph, value)
        && node.op.downcast_ref::<BroadcastTo>().is_some()
    {
        value = node.inputs.first().copied()??;
    }
    outside::size(graph, value)
}
