//! Reshapes of reshapes are one, equal reshapes and transposes are one, and transposes leave axes of size 1 to reshapes.

use std::collections::HashMap;

use super::expand::node_of;
use crate::graph::{Dim, Edit, Graph, GraphError, ValueId};
use crate::ops::{Reshape, Transpose};

/// The Graph in which no reshape takes a reshape, and no transpose an axis of size 1.
///
/// # Errors
/// If the result is not valid.
pub fn join(graph: &Graph) -> Result<Graph, GraphError> {
    let mut known: HashMap<(ValueId, Vec<Dim>), ValueId> = HashMap::new();
    let mut turned: HashMap<(ValueId, Vec<usize>), ValueId> = HashMap::new();
    graph.rewrite(|new, node, inputs| {
        let &[Some(x)] = inputs else { return Ok(Edit::Keep) };
        if let Some(reshape) = node.op.downcast_ref::<Reshape>() {
            let source = reshaped(new, x);
            if new.ty(source).dims == reshape.dims {
                return Ok(Edit::Replace(vec![source]));
            }
            let place = (source, reshape.dims.clone());
            if let Some(value) = known.get(&place) {
                return Ok(Edit::Replace(vec![*value]));
            }
            let value = new.add_one(&node.name, reshape.clone(), &[source])?;
            known.insert(place, value);
            return Ok(Edit::Replace(vec![value]));
        }
        if let Some(transpose) = node.op.downcast_ref::<Transpose>() {
            let place = (x, transpose.permutation.clone());
            if let Some(value) = turned.get(&place) {
                return Ok(Edit::Replace(vec![*value]));
            }
            let value = match squeezed(new, &node.name, x, &transpose.permutation)? {
                Some(value) => value,
                None => new.add_one(&node.name, transpose.clone(), &[x])?,
            };
            turned.insert(place, value);
            return Ok(Edit::Replace(vec![value]));
        }
        Ok(Edit::Keep)
    })
}

/// What the reshapes before a value start from.
fn reshaped(graph: &Graph, mut value: ValueId) -> ValueId {
    while let Some(node) = node_of(graph, value)
        && node.op.downcast_ref::<Reshape>().is_some()
        && let Some(&Some(source)) = node.inputs.first()
    {
        value = source;
    }
    value
}

/// The transpose of `x` without its axes of size 1, and those put where they belong.
fn squeezed(
    graph: &mut Graph,
    name: &str,
    x: ValueId,
    permutation: &[usize],
) -> Result<Option<ValueId>, GraphError> {
    let dims = graph.ty(x).dims.clone();
    let is_one = |axis: usize| dims[axis] == Dim::Known(1);
    let kept: Vec<usize> = (0..dims.len()).filter(|axis| !is_one(*axis)).collect();
    if kept.len() == dims.len() {
        return Ok(None);
    }
    let position = |axis: &usize| kept.iter().position(|kept| kept == axis);
    let moved: Vec<usize> = permutation.iter().filter_map(position).collect();
    let inner: Vec<Dim> = kept.iter().map(|axis| dims[*axis].clone()).collect();
    let outer: Vec<Dim> = permutation.iter().map(|axis| dims[*axis].clone()).collect();
    let source = reshaped(graph, x);
    if moved.iter().copied().eq(0..moved.len()) {
        return Ok(Some(match graph.ty(source).dims == outer {
            true => source,
            false => graph.add_one(name, Reshape::to(outer), &[source])?,
        }));
    }
    let source = match graph.ty(source).dims == inner {
        true => source,
        false => graph.add_one(name, Reshape::to(inner), &[source])?,
    };
    let turned = graph.add_one(name, Transpose { permutation: moved }, &[source])?;
    graph.add_one(name, Reshape::to(outer), &[turned]).map(Some)
}
