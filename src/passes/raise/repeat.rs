//! A `Loop` over the steps of a sequence becomes a recurrent layer.
//!
//! The loop runs once for each step of a sequence, which it reads at the place that it counts to, and
//! its states are those of a cell (see [`cell`](super::cell)); what it collects is the hidden state or
//! the output before a masked step.

use super::algebra::{Index, Nature, Read, Reader};
use super::cell::Miss;
use super::frame::{self, Borders, Walk};
use super::outside;
use super::step::{Recurrence, State, gates, recognise};
use crate::graph::{DType, Dim, Graph, GraphError, Node, Source, ValueId};
use crate::ops::{Binary, BinaryKind, Loop};

/// The values that a node gives instead, or why it stays.
pub type Raised = Result<Result<Vec<ValueId>, Miss>, GraphError>;

/// Puts a layer in place of the loop `node` with `inputs` of `graph`; `wanted` says which of its outputs
/// somebody takes.
///
/// # Errors
/// If an operator refuses its inputs, which would be a fault of ours.
pub fn raise(
    graph: &mut Graph,
    node: &Node,
    op: &Loop,
    inputs: &[Option<ValueId>],
    wanted: &[bool],
) -> Raised {
    let mut borders = Borders::new(&op.body);
    let read = match read(graph, op, inputs, wanted, &mut borders) {
        Ok(read) => read,
        Err(miss) => return Ok(Err(miss)),
    };
    let Steps { found, states, first, is_backward, .. } = read;
    let walk = Walk { name: &node.name, is_backward, first: &first };
    let given = frame::put(graph, &found, &mut borders, &walk)?;
    let finals = frame::finals(&found, &given, &first);
    let mut outputs = Vec::with_capacity(node.outputs.len());
    for index in 0..op.carried {
        let value = match states.iter().position(|state| *state == index) {
            Some(state) => finals[state],
            None => inputs.get(Loop::FIRST + index).copied().flatten().unwrap_or(given.hidden),
        };
        outputs.push(value);
    }
    let mut sequence = None;
    for index in op.carried..node.outputs.len() {
        outputs.push(match (wanted.get(index), sequence) {
            (Some(true), Some(sequence)) => sequence,
            (Some(true), None) => {
                let stacked = frame::stacked(graph, &walk, given.sequence, (0, is_backward))?;
                sequence = Some(stacked);
                stacked
            }
            _ => given.sequence,
        });
    }
    Ok(Ok(outputs))
}

/// What was found out about a loop.
struct Steps {
    found: Recurrence,
    /// The carried value of each state.
    states: Vec<usize>,
    first: Vec<ValueId>,
    is_backward: bool,
}

fn read(
    graph: &Graph,
    op: &Loop,
    inputs: &[Option<ValueId>],
    wanted: &[bool],
    borders: &mut Borders<'_>,
) -> Result<Steps, Miss> {
    let body = &*op.body;
    let input = |slot: usize| inputs.get(slot).copied().flatten();
    let count = input(0).and_then(|id| outside::size(graph, id));
    let count = count.ok_or("the number of iterations is not a size")?;
    if input(1).is_some_and(|id| !outside::holds(graph, id, &count)) {
        return Err("it may not start, by a condition that a run computes".to_owned());
    }
    let mut reader = Reader::new(body);
    let states = starts(graph, op, inputs, &mut reader, borders)?;
    for node in body.nodes() {
        reader.read(node);
    }
    goes_on(graph, &reader, body, borders, &count)?;
    let mut given = Vec::with_capacity(states.len());
    for &index in &states {
        let (before, after) = carried(body, index);
        let first = input(Loop::FIRST + index).ok_or("a state has no first value")?;
        let is_zero = outside::number(graph, first) == Some(0.0);
        let is_wanted = wanted.get(index).copied().unwrap_or(false);
        given.push((first, State { before, after, is_zero, is_wanted }));
    }
    let is_known = |index: &usize| {
        let (before, after) = carried(body, *index);
        before == after || states.contains(index)
    };
    if (0..op.carried).any(|index| wanted.get(index) == Some(&true) && !is_known(&index)) {
        return Err("a carried value that is no state is used after the last step".to_owned());
    }
    let results = (op.carried..op.outputs.len()).filter(|index| wanted.get(*index) == Some(&true));
    let results: Vec<ValueId> = results.map(|index| body.outputs()[1 + index].value).collect();
    let (first, given): (Vec<ValueId>, Vec<State>) = given.into_iter().unzip();
    let found = recognise(&mut reader, &given, &results)?;
    let mut is_backward = None;
    for (index, read) in frame::reads(&found).enumerate() {
        let own = direction(graph, borders, &read, &count, index > 0)?;
        if is_backward.is_some_and(|other| other != own) {
            return Err("x and mask are walked in opposite directions".to_owned());
        }
        is_backward = Some(own);
    }
    fixed_weights(graph, &found, borders, body)?;
    Ok(Steps { found, states, first, is_backward: is_backward.unwrap_or(false) })
}

fn carried(body: &Graph, index: usize) -> (ValueId, ValueId) {
    (body.inputs()[Loop::FIRST + index].value, body.outputs()[1 + index].value)
}

/// Says what the inputs of the body are, and which of the carried values are states.
fn starts(
    graph: &Graph,
    op: &Loop,
    inputs: &[Option<ValueId>],
    reader: &mut Reader<'_>,
    borders: &mut Borders<'_>,
) -> Result<Vec<usize>, Miss> {
    let body = &*op.body;
    let [number, condition, ..] = body.inputs() else {
        return Err("its body has no number of the iteration".to_owned());
    };
    reader.set_index(number.value, Index { scale: 1, offset: 0, value: None });
    reader.set_true(condition.value);
    let mut states = Vec::new();
    for slot in Loop::FIRST..body.inputs().len() {
        let inner = body.inputs()[slot].value;
        let outer = inputs.get(slot).copied().flatten().ok_or("an input is not there")?;
        let index = slot - Loop::FIRST;
        if index >= op.carried || carried(body, index).1 == inner {
            borders.fix(reader, graph, inner, outer);
            continue;
        }
        match counter(graph, reader, body, carried(body, index), outer) {
            Some(own) => reader.set_index(inner, own),
            None if reader.set_row(inner) && body.ty(inner).dtype == DType::F32 => {
                states.push(index);
            }
            None => {}
        }
    }
    Ok(states)
}

/// The number of the step that a carried integer is.
fn counter(
    graph: &Graph,
    reader: &Reader<'_>,
    body: &Graph,
    (before, after): (ValueId, ValueId),
    first: ValueId,
) -> Option<Index> {
    if !body.ty(before).dtype.is_int() || !body.ty(before).dims.is_empty() {
        return None;
    }
    let Source::Node { node, .. } = body.value(after).source else { return None };
    let node = body.node(node);
    let kind = node.op.downcast_ref::<Binary>()?.kind;
    let (a, b) = (node.inputs.first().copied()??, node.inputs.get(1).copied()??);
    let step = match kind {
        BinaryKind::Add if a == before => reader.splat(b)?,
        BinaryKind::Add if b == before => reader.splat(a)?,
        BinaryKind::Subtract if a == before => -reader.splat(b)?,
        _ => return None,
    };
    if step.fract() != 0.0 {
        return None;
    }
    let (value, offset) = match outside::number(graph, first) {
        Some(number) if number.fract() == 0.0 => (None, number as i64),
        // Counted from a size: it stands for itself, as a value of the body.
        _ => return None,
    };
    Some(Index { scale: step as i64, offset, value })
}

/// Checks that the loop runs `count` times.
fn goes_on(
    graph: &Graph,
    reader: &Reader<'_>,
    body: &Graph,
    borders: &Borders<'_>,
    count: &Dim,
) -> Result<(), Miss> {
    let refuse = || Err("it may end before the sequence does, by a condition".to_owned());
    let Some(output) = body.outputs().first() else { return refuse() };
    let conditions = match reader.nature(output.value) {
        Nature::Holds(conditions) => conditions,
        Nature::Fixed if reader.splat(output.value) == Some(1.0) => Vec::new(),
        _ => return refuse(),
    };
    for (low, high) in conditions {
        let Some(bound) = bound(graph, borders, high) else { return refuse() };
        // In the last iteration it does not matter; in the one before, low is offset + count - 2.
        let fits = match (&bound, count) {
            (bound, count) if bound == count => low.offset <= 1,
            (Dim::Known(bound), Dim::Known(count)) => {
                low.offset.saturating_add(*count as i64 - 2) < *bound as i64
            }
            _ => false,
        };
        if low.scale != 1 || low.value.is_some() || !fits {
            return refuse();
        }
    }
    Ok(())
}

/// An integer that is the same in every step, as a size.
fn bound(graph: &Graph, borders: &Borders<'_>, index: Index) -> Option<Dim> {
    match index {
        Index { scale: 0, offset, value: None } => usize::try_from(offset).ok().map(Dim::Known),
        Index { scale: 0, offset: 0, value: Some((value, 1)) } => {
            outside::size(graph, borders.outer(value)?)
        }
        _ => None,
    }
}

/// Whether a sequence, x or the mask, is walked backwards.
fn direction(
    graph: &Graph,
    borders: &Borders<'_>,
    read: &Read,
    count: &Dim,
    is_mask: bool,
) -> Result<bool, Miss> {
    let sequence = borders.outer(read.sequence).ok_or("it reads a sequence that it computes")?;
    let length = graph.ty(sequence).dims.get(read.axis);
    // A mask of another length than x is refused in the run.
    let may_fit = is_mask && length.is_some_and(|length| length.may_equal(count));
    if length != Some(count) && !may_fit {
        let length = length.map_or_else(String::new, Dim::to_string);
        return Err(format!("it runs {count} times, and the sequence has {length} steps"));
    }
    let last = |value: Option<(ValueId, i64)>, offset: i64| match (value, count) {
        (Some((value, 1)), _) => {
            let size = borders.outer(value).and_then(|id| outside::size(graph, id));
            offset == -1 && size.as_ref() == Some(count)
        }
        (None, Dim::Known(count)) => i64::try_from(*count).is_ok_and(|count| offset == count - 1),
        _ => false,
    };
    match read.index {
        Index { scale: 1, offset: 0, value: None } => Ok(false),
        Index { scale: -1, offset, value } if last(value, offset) => Ok(true),
        _ => Err("the sequence is not read step by step".to_owned()),
    }
}

/// Checks that the weights are the same in every run.
///
/// # Errors
/// If one is not; the text says so.
pub fn fixed_weights(
    graph: &Graph,
    found: &Recurrence,
    borders: &Borders<'_>,
    body: &Graph,
) -> Result<(), Miss> {
    let mut open = Vec::new();
    for gate in gates(&found.formula) {
        open.extend(gate.input.iter().map(|(_, matrix)| matrix.value));
        open.extend(gate.recurrent.map(|matrix| matrix.value));
        open.extend(gate.bias.iter().map(|(value, _)| *value));
    }
    let mut outer = Vec::new();
    while let Some(id) = open.pop() {
        match borders.outer(id) {
            Some(value) => outer.push(value),
            None => {
                if let Source::Node { node, .. } = body.value(id).source {
                    open.extend(body.node(node).inputs.iter().flatten());
                }
            }
        }
    }
    frame::same_weights(graph, &outer)
}
