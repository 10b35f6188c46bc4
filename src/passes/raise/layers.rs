//! What the rules ask of recurrent layers, whatever their cell.

use std::sync::Arc;

use super::expand::node_of;
use super::outside;
use crate::graph::{Edit, Graph, GraphError, Operator, Source, ValueId};
use crate::ops::recurrent::{CellSlots, MASK};
use crate::ops::{
    AxisSlice, Concat, Direction, Gru, Lstm, Reshape, SimpleRnn, Slice, Take, Transpose,
};

/// The axis of time in the sequence.
const TIME: usize = 1;

/// The directions that a layer walks; `None` for other operators.
pub fn direction(op: &Arc<dyn Operator>) -> Option<Direction> {
    let lstm = op.downcast_ref::<Lstm>().map(|op| op.direction);
    let gru = op.downcast_ref::<Gru>().map(|op| op.direction);
    lstm.or(gru).or(op.downcast_ref::<SimpleRnn>().map(|op| op.direction))
}

/// Where the weights and states of a layer stand.
pub fn slots(op: &Arc<dyn Operator>) -> Option<CellSlots> {
    let lstm = op.downcast_ref::<Lstm>().map(|_| Lstm::SLOTS);
    let gru = op.downcast_ref::<Gru>().map(|_| Gru::SLOTS);
    lstm.or(gru).or(op.downcast_ref::<SimpleRnn>().map(|_| SimpleRnn::SLOTS))
}

/// The layer in another direction; `None` for other operators, or where `other` gives none.
pub fn directed(
    op: &Arc<dyn Operator>,
    other: impl Fn(Direction) -> Option<Direction>,
) -> Option<Arc<dyn Operator>> {
    let direction = other(direction(op)?)?;
    if let Some(op) = op.downcast_ref::<Lstm>() {
        return Some(Arc::new(Lstm { direction, ..op.clone() }));
    }
    if let Some(op) = op.downcast_ref::<Gru>() {
        return Some(Arc::new(Gru { direction, ..op.clone() }));
    }
    let op = op.downcast_ref::<SimpleRnn>()?;
    Some(Arc::new(SimpleRnn { direction, ..op.clone() }))
}

/// Whether masked steps are zeros in the sequence.
fn has_zeros(op: &Arc<dyn Operator>) -> bool {
    let lstm = op.downcast_ref::<Lstm>().map(|op| op.zero_output_for_mask);
    let gru = op.downcast_ref::<Gru>().map(|op| op.zero_output_for_mask);
    let plain = op.downcast_ref::<SimpleRnn>().map(|op| op.zero_output_for_mask);
    lstm.or(gru).or(plain).unwrap_or(true)
}

/// The Graph in which the last step of a sequence is the layer's last output.
///
/// # Errors
/// If the result is not valid.
pub fn last(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        let Some(&Some(x)) = inputs.first() else { return Ok(Edit::Keep) };
        let step = if let Some(take) = node.op.downcast_ref::<Take>() {
            let index = inputs.get(1).copied().flatten();
            index.filter(|index| new.ty(*index).rank() == 0).and_then(|index| {
                let number = outside::number(new, index).filter(|at| at.fract() == 0.0)? as i64;
                Some((x, take.axis, number))
            })
        } else if node.op.downcast_ref::<Reshape>().is_some() {
            sliced(new, x)
        } else {
            None
        };
        let found = step.and_then(|(source, axis, index)| output(new, source, axis, index));
        let dims = node.outputs.first().map(|output| &graph.ty(*output).dims);
        Ok(match found.filter(|found| Some(&new.ty(*found).dims) == dims) {
            Some(found) => Edit::Replace(vec![found]),
            None => Edit::Keep,
        })
    })
}

/// The Graph in which all steps of a sequence, put one after another, are the sequence.
///
/// # Errors
/// If the result is not valid.
pub fn joined(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        let (Some(concat), &[output]) = (node.op.downcast_ref::<Concat>(), &node.outputs[..])
        else {
            return Ok(Edit::Keep);
        };
        let Some(sequence) = all_steps(new, inputs) else { return Ok(Edit::Keep) };
        let (dims, expected) = (new.ty(sequence).dims.clone(), &graph.ty(output).dims);
        let value = match concat.axis {
            TIME if dims == *expected => sequence,
            0 if dims.len() == 3
                && expected[..] == [dims[1].clone(), dims[0].clone(), dims[2].clone()] =>
            {
                new.add_one(&node.name, Transpose { permutation: vec![1, 0, 2] }, &[sequence])?
            }
            _ => return Ok(Edit::Keep),
        };
        Ok(Edit::Replace(vec![value]))
    })
}

/// The sequence of three axes of which these values are the steps, in order.
fn all_steps(graph: &Graph, values: &[Option<ValueId>]) -> Option<ValueId> {
    let mut sequence = None;
    for (place, value) in values.iter().enumerate() {
        let mut value = (*value)?;
        while let Some(node) = node_of(graph, value)
            && node.op.downcast_ref::<Reshape>().is_some()
        {
            value = node.inputs.first().copied()??;
        }
        let (source, axis, index) = sliced(graph, value)?;
        let size = graph.ty(source).dims.get(TIME)?.known()?;
        let index = if index < 0 { index + size as i64 } else { index };
        let fits = axis == TIME
            && graph.ty(source).rank() == 3
            && size == values.len()
            && index == place as i64
            && sequence.is_none_or(|sequence| sequence == source);
        sequence = Some(source).filter(|_| fits);
        sequence?;
    }
    sequence
}

/// The one step that a slice takes: of what, along which axis, at which index.
fn sliced(graph: &Graph, value: ValueId) -> Option<(ValueId, usize, i64)> {
    let node = node_of(graph, value)?;
    let [part] = &node.op.downcast_ref::<Slice>()?.axes[..] else { return None };
    let source = node.inputs.first().copied()??;
    let size = graph.ty(source).dims.get(part.axis)?.known();
    let index = match (part, size) {
        (AxisSlice { start: Some(-1), stop: None, step: 1, .. }, _) => -1,
        (AxisSlice { start: None | Some(0), stop: Some(1), step: 1, .. }, _) => 0,
        (part, Some(size)) => match part.resolve(size) {
            (start, 1) => start as i64,
            _ => return None,
        },
        _ => return None,
    };
    Some((source, part.axis, index))
}

/// The last output of the layer of which step `index` along `axis` is the last one that it walks.
fn output(graph: &Graph, mut value: ValueId, mut axis: usize, index: i64) -> Option<ValueId> {
    if let Some(node) = node_of(graph, value)
        && let Some(transpose) = node.op.downcast_ref::<Transpose>()
    {
        let rest = transpose.permutation.iter().enumerate().filter(|(place, _)| *place != axis);
        // Batch and units stay in their order.
        if !rest
            .map(|(_, from)| *from)
            .eq((0..transpose.permutation.len()).filter(|from| *from != TIME))
        {
            return None;
        }
        axis = *transpose.permutation.get(axis)?;
        value = node.inputs.first().copied()??;
    }
    let Source::Node { node, output: 0 } = graph.value(value).source else { return None };
    let node = graph.node(node);
    let size = graph.ty(value).dims.get(TIME)?.known();
    let is_end = index == -1 || size.is_some_and(|size| index + 1 == size as i64);
    let is_last = match direction(&node.op)? {
        Direction::Forward => is_end,
        Direction::Backward => index == 0,
        Direction::Bidirectional => false,
    };
    let is_masked = node.inputs.get(MASK).is_some_and(Option::is_some);
    let fits = axis == TIME && is_last && !(is_masked && has_zeros(&node.op));
    fits.then(|| node.outputs.get(1).copied()).flatten()
}
