//! What is known of the values around a loop.

use super::algebra::{splat, splat_through};
use crate::graph::{Dim, Graph, Source, Tensor, ValueId};
use crate::ops::{Binary, BinaryKind, Cast, Reshape, Sizes};

/// The tensor of a value that no run changes.
pub fn fixed(graph: &Graph, value: ValueId) -> Option<&Tensor> {
    match &graph.value(value).source {
        Source::Constant(tensor) => Some(tensor),
        Source::Variable(id) if !graph.is_kept(*id) => Some(&graph.variable(*id).value),
        _ => None,
    }
}

/// Through so many nodes a number is followed.
const DEPTH: usize = 32;

/// The number that a value holds throughout, if that is certain.
pub fn number(graph: &Graph, id: ValueId) -> Option<f64> {
    number_within(graph, id, DEPTH)
}

fn number_within(graph: &Graph, id: ValueId, depth: usize) -> Option<f64> {
    match &graph.value(id).source {
        Source::Constant(tensor) => splat(tensor),
        Source::Node { node, output: 0 } => {
            let depth = depth.checked_sub(1)?;
            splat_through(graph.node(*node), |source| number_within(graph, source, depth))
        }
        // What a Session does not change is as good as a constant.
        Source::Variable(variable) if !graph.is_kept(*variable) => {
            splat(&graph.variable(*variable).value)
        }
        Source::Input(_) | Source::Variable(_) | Source::Node { .. } => None,
    }
}

/// The size that an integer is.
pub fn size(graph: &Graph, mut id: ValueId) -> Option<Dim> {
    loop {
        if let Some(number) = number(graph, id) {
            let is_size = number >= 0.0 && number.fract() == 0.0 && number < 1e15;
            return is_size.then_some(Dim::Known(number as usize));
        }
        let Source::Node { node, .. } = graph.value(id).source else { return None };
        let node = graph.node(node);
        if let Some(sizes) = node.op.downcast_ref::<Sizes>() {
            return match &sizes.dims[..] {
                [only] => Some(only.clone()),
                _ => None,
            };
        }
        let is_same =
            node.op.downcast_ref::<Cast>().is_some() || node.op.downcast_ref::<Reshape>().is_some();
        if !is_same {
            return None;
        }
        id = node.inputs.first().copied().flatten()?;
    }
}

/// Whether a condition holds wherever `count` is not 0.
pub fn holds(graph: &Graph, id: ValueId, count: &Dim) -> bool {
    if let Some(number) = number(graph, id) {
        return number != 0.0;
    }
    let Source::Node { node, .. } = graph.value(id).source else { return false };
    let node = graph.node(node);
    let input = |slot: usize| node.inputs.get(slot).copied().flatten();
    if node.op.downcast_ref::<Cast>().is_some() || node.op.downcast_ref::<Reshape>().is_some() {
        return input(0).is_some_and(|id| holds(graph, id, count));
    }
    let (Some(binary), Some(a), Some(b)) = (node.op.downcast_ref::<Binary>(), input(0), input(1))
    else {
        return false;
    };
    let is_below =
        |low, high| number(graph, low) == Some(0.0) && size(graph, high).as_ref() == Some(count);
    match binary.kind {
        BinaryKind::And => holds(graph, a, count) && holds(graph, b, count),
        BinaryKind::Less => is_below(a, b),
        BinaryKind::Greater => is_below(b, a),
        _ => false,
    }
}
