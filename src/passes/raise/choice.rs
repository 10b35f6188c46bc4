//! Choices that tf2onnx writes as arithmetic: `a · cast(c) + b · cast(not c)`.

use super::expand::node_of;
use super::same;
use crate::graph::{DType, Edit, Graph, GraphError, Node, ValueId};
use crate::ops::{Binary, BinaryKind, Cast, Select, Unary, UnaryKind};

/// The Graph with a choice in place of the sum.
///
/// # Errors
/// If the result is not valid.
pub fn raise(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        let (&[output], Some(&Binary { kind: BinaryKind::Add })) =
            (&node.outputs[..], node.op.downcast_ref::<Binary>())
        else {
            return Ok(Edit::Keep);
        };
        let &[Some(a), Some(b)] = inputs else { return Ok(Edit::Keep) };
        let Some((condition, on_true, on_false)) = choice(new, a, b) else {
            return Ok(Edit::Keep);
        };
        let value = new.add_one(&node.name, Select, &[condition, on_true, on_false])?;
        // The products of an axis of size 1 have been as large as the sum.
        let (found, expected) = (new.ty(value), graph.ty(output));
        Ok(match found.dtype == expected.dtype && same(&found.dims, &expected.dims) {
            true => Edit::Replace(vec![value]),
            false => Edit::Keep,
        })
    })
}

/// The condition, and what is taken where it holds and where it does not.
fn choice(graph: &Graph, a: ValueId, b: ValueId) -> Option<(ValueId, ValueId, ValueId)> {
    for (first, condition) in factors(graph, a) {
        for (second, other) in factors(graph, b) {
            if negated(graph, other) == Some(condition) {
                return Some((condition, first, second));
            }
            if negated(graph, condition) == Some(other) {
                return Some((other, second, first));
            }
        }
    }
    None
}

/// The factor of a product and the condition that the other is.
fn factors(graph: &Graph, value: ValueId) -> Vec<(ValueId, ValueId)> {
    let Some(node) = binary(graph, value, BinaryKind::Multiply) else { return Vec::new() };
    let &[Some(a), Some(b)] = &node.inputs[..] else { return Vec::new() };
    [(a, b), (b, a)]
        .into_iter()
        .filter_map(|(factor, other)| Some((factor, condition(graph, other)?)))
        .collect()
}

/// The condition that a number of 1 or 0 was.
pub fn condition(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let node = node_of(graph, value)?;
    node.op.downcast_ref::<Cast>()?;
    let source = node.inputs.first().copied()??;
    (graph.ty(source).dtype == DType::Bool).then_some(source)
}

/// What a condition is the contrary of.
pub fn negated(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let node = node_of(graph, value)?;
    let is_not = node.op.downcast_ref::<Unary>()?.kind == UnaryKind::Not;
    is_not.then(|| node.inputs.first().copied().flatten()).flatten()
}

/// The node of this kind that gives a value.
pub fn binary(graph: &Graph, value: ValueId, kind: BinaryKind) -> Option<&Node> {
    node_of(graph, value)
        .filter(|node| node.op.downcast_ref::<Binary>().is_some_and(|op| op.kind == kind))
}
