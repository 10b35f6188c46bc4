//! The logits behind an output: what the sigmoid or softmax that gives it was given.
//!
//! Keras marks the results of these two functions with their argument and computes crossentropies
//! from it, so that probabilities of 0 and 1 keep their gradients.

use std::sync::Arc;

use crate::graph::{Edit, Graph, GraphError, Node, Source, ValueId};
use crate::ops::{Activate, Activation, Conv, Dense, Dropout, Softmax};

/// The Graph in which outputs are given by activations of their own, where a fused one has logits.
///
/// # Errors
/// If the result is not valid.
pub(super) fn expose(graph: &Graph, training: bool) -> Result<Graph, GraphError> {
    let ends: Vec<ValueId> =
        graph.outputs().iter().map(|output| direct(graph, output.value, training)).collect();
    graph.rewrite(|new, node, inputs| {
        let linear = match node.outputs.first() {
            Some(output) if ends.contains(output) => without_activation(node),
            _ => None,
        };
        let Some((op, activation)) = linear else { return Ok(Edit::Keep) };
        let logits = new.add_node(&node.name, op, inputs.to_vec())?;
        Ok(Edit::Replace(new.add(&node.name, Activate { activation }, &logits)?))
    })
}

/// The logits behind a value, if it is directly the result of a sigmoid or softmax.
pub(super) fn behind(graph: &Graph, id: ValueId, training: bool) -> Option<ValueId> {
    let node = source(graph, direct(graph, id, training))?;
    let op = &node.op;
    let is_softmax = op.downcast_ref::<Softmax>().is_some_and(|softmax| !softmax.log);
    let activates = op.downcast_ref::<Activate>().is_some_and(|op| has_logits(op.activation));
    (is_softmax || activates).then(|| node.inputs.first().copied().flatten()).flatten()
}

/// The sigmoid or softmax that a value is directly the result of.
pub(super) fn activation_of(graph: &Graph, id: ValueId, training: bool) -> Option<Activation> {
    let node = source(graph, direct(graph, id, training))?;
    let op = &node.op;
    let softmax = op.downcast_ref::<Softmax>().filter(|softmax| !softmax.log);
    let found = op
        .downcast_ref::<Activate>()
        .map(|op| op.activation)
        .or(op.downcast_ref::<Dense>().map(|op| op.activation))
        .or(op.downcast_ref::<Conv>().map(|op| op.activation))
        .or(softmax.map(|_| Activation::Softmax));
    found.filter(|activation| has_logits(*activation))
}

/// The value that this one is, behind what changes nothing.
fn direct(graph: &Graph, mut id: ValueId, training: bool) -> ValueId {
    while let Some(node) = source(graph, id)
        && let Some(input) = node.inputs.first().copied().flatten()
    {
        let linear = node
            .op
            .downcast_ref::<Activate>()
            .is_some_and(|op| op.activation == Activation::Linear);
        let dropped = !training && node.op.downcast_ref::<Dropout>().is_some();
        if !(linear || dropped) {
            break;
        }
        id = input;
    }
    id
}

fn source(graph: &Graph, id: ValueId) -> Option<&Node> {
    match graph.value(id).source {
        Source::Node { node, output: 0 } => Some(graph.node(node)),
        _ => None,
    }
}

fn has_logits(activation: Activation) -> bool {
    matches!(activation, Activation::Sigmoid | Activation::Softmax)
}

/// The operator without its activation, where that one has logits.
fn without_activation(node: &Node) -> Option<(Arc<dyn crate::graph::Operator>, Activation)> {
    if let Some(dense) = node.op.downcast_ref::<Dense>()
        && has_logits(dense.activation)
    {
        let linear = Dense { activation: Activation::Linear, ..dense.clone() };
        return Some((Arc::new(linear), dense.activation));
    }
    if let Some(conv) = node.op.downcast_ref::<Conv>()
        && has_logits(conv.activation)
    {
        let linear = Conv { activation: Activation::Linear, ..conv.clone() };
        return Some((Arc::new(linear), conv.activation));
    }
    None
}
