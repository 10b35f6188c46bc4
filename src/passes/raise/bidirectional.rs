//! Two layers that walk one sequence in both directions, and whose outputs stand side by side, are one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::expand::node_of;
use super::layers::{directed, direction, slots};
use crate::graph::{Edit, Graph, GraphError, Node, NodeId, Operator, Source, ValueId};
use crate::ops::{Concat, Direction, Transpose};

/// The inputs that both directions share: the sequence and its mask.
const SHARED: usize = 2;
/// The outputs that two directions have together: the sequence and the last output.
const JOINED: usize = 2;

/// The layers that walk forward and backward.
type Pair = (NodeId, NodeId);

/// Where the outputs of a pair stand side by side.
#[derive(Clone, Debug)]
struct Joint {
    pair: Pair,
    output: usize,
    permutation: Option<Vec<usize>>,
}

/// The Graph with one layer in place of two; `None` if there are none.
///
/// # Errors
/// If the result is not valid.
pub fn raise(graph: &Graph) -> Result<Option<Graph>, GraphError> {
    let mut joints: HashMap<ValueId, Joint> = HashMap::new();
    for node in graph.nodes() {
        if let (&[output], Some(joint)) = (&node.outputs[..], joint(graph, node)) {
            joints.insert(output, joint);
        }
    }
    let alone: HashSet<Pair> = joints
        .values()
        .map(|joint| joint.pair)
        .filter(|pair| !is_joined(graph, *pair, &joints))
        .collect();
    joints.retain(|_, joint| !alone.contains(&joint.pair));
    if joints.is_empty() {
        return Ok(None);
    }
    let parts: HashSet<NodeId> =
        joints.values().flat_map(|joint| [joint.pair.0, joint.pair.1]).collect();
    let first: HashMap<ValueId, NodeId> =
        parts.iter().filter_map(|id| Some((*graph.node(*id).outputs.first()?, *id))).collect();
    let mut inputs_of: HashMap<NodeId, Vec<Option<ValueId>>> = HashMap::new();
    let mut made: HashMap<Pair, Vec<ValueId>> = HashMap::new();
    let raised = graph.rewrite(|new, node, inputs| {
        let Some(output) = node.outputs.first() else { return Ok(Edit::Keep) };
        if let Some(id) = first.get(output) {
            inputs_of.insert(*id, inputs.to_vec());
        }
        let Some(Joint { pair, output, permutation }) = joints.get(output) else {
            return Ok(Edit::Keep);
        };
        if !made.contains_key(pair) {
            let given = |id: &NodeId| inputs_of.get(id).cloned();
            let (Some(ahead), Some(back)) = (given(&pair.0), given(&pair.1)) else {
                return Ok(Edit::Keep);
            };
            let layer = graph.node(pair.0);
            let Some((op, inputs)) = both(layer, &ahead, &back) else { return Ok(Edit::Keep) };
            made.insert(*pair, new.add_node(&layer.name, op, inputs)?);
        }
        let Some(&value) = made.get(pair).and_then(|outputs| outputs.get(*output)) else {
            return Ok(Edit::Keep);
        };
        Ok(Edit::Replace(vec![match permutation.clone() {
            None => value,
            Some(permutation) => new.add_one(&node.name, Transpose { permutation }, &[value])?,
        }]))
    })?;
    Ok(Some(raised))
}

/// An operator and its inputs.
type Layer = (Arc<dyn Operator>, Vec<Option<ValueId>>);

/// The operator of both directions and its inputs.
fn both(layer: &Node, ahead: &[Option<ValueId>], back: &[Option<ValueId>]) -> Option<Layer> {
    let op = directed(&layer.op, |_| Some(Direction::Bidirectional))?;
    let own = slots(&layer.op)?.count(Direction::Forward) - SHARED;
    let part = |inputs: &[Option<ValueId>]| -> Vec<Option<ValueId>> {
        let rest = inputs.iter().copied().skip(SHARED);
        rest.chain(std::iter::repeat(None)).take(own).collect()
    };
    let shared = ahead.iter().copied().chain(std::iter::repeat(None)).take(SHARED);
    Some((op, shared.chain(part(ahead)).chain(part(back)).collect()))
}

/// The pair whose outputs a node puts side by side, forward first.
fn joint(graph: &Graph, node: &Node) -> Option<Joint> {
    let &[Some(a), Some(b)] = &node.inputs[..] else { return None };
    let axis = node.op.downcast_ref::<Concat>()?.axis;
    let (ahead, output, permutation) = part(graph, a)?;
    let (back, other, same) = part(graph, b)?;
    let is_last = axis + 1 == graph.ty(a).rank();
    let is_joined = output < JOINED && output == other && permutation == same;
    let (left, right) = (graph.node(ahead), graph.node(back));
    let shared = |node: &Node| -> Vec<Option<ValueId>> {
        node.inputs.iter().copied().chain(std::iter::repeat(None)).take(SHARED).collect()
    };
    let is_pair = direction(&left.op) == Some(Direction::Forward)
        && direction(&right.op) == Some(Direction::Backward)
        // Operators say all that they are in their debug form.
        && format!("{:?}", directed(&left.op, |_| Some(Direction::Backward))?) == format!("{:?}", right.op)
        && shared(left) == shared(right);
    (is_last && is_joined && is_pair).then_some(Joint { pair: (ahead, back), output, permutation })
}

/// The layer that gives a value, which of its outputs, and the order of axes behind it.
fn part(graph: &Graph, value: ValueId) -> Option<(NodeId, usize, Option<Vec<usize>>)> {
    let transpose = node_of(graph, value).and_then(|node| {
        let permutation = node.op.downcast_ref::<Transpose>()?.permutation.clone();
        let keeps_last = permutation.last().copied() == permutation.len().checked_sub(1);
        Some((node.inputs.first().copied()??, permutation)).filter(|_| keeps_last)
    });
    let (source, permutation) = match transpose {
        Some((source, permutation)) => (source, Some(permutation)),
        None => (value, None),
    };
    let Source::Node { node, output } = graph.value(source).source else { return None };
    direction(&graph.node(node).op)?;
    Some((node, output, permutation))
}

/// Whether all that takes the outputs of a pair takes both side by side.
fn is_joined(graph: &Graph, pair: Pair, joints: &HashMap<ValueId, Joint>) -> bool {
    let mut own: HashSet<ValueId> =
        [pair.0, pair.1].iter().flat_map(|id| graph.node(*id).outputs.iter().copied()).collect();
    let is_joint = |node: &Node| {
        node.outputs.first().and_then(|output| joints.get(output)).is_some_and(|j| j.pair == pair)
    };
    for node in graph.nodes() {
        let takes = node.inputs.iter().flatten().any(|input| own.contains(input));
        if !takes || is_joint(node) {
            continue;
        }
        if node.op.downcast_ref::<Transpose>().is_none() {
            return false;
        }
        own.extend(&node.outputs);
    }
    let given = graph.outputs().iter().flat_map(|output| [Some(output.value), output.mask]);
    let updates = graph.updates().iter().map(|(_, value)| Some(*value));
    !given.chain(updates).flatten().any(|value| own.contains(&value))
}
