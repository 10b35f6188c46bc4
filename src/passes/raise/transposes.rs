//! Transposes of transposes are one.

use crate::graph::{Edit, Graph, GraphError, Source};
use crate::ops::Transpose;

/// The Graph in which a transpose of a transpose takes what that one takes.
///
/// # Errors
/// If the result is not valid.
pub fn join(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        let (Some(outer), [Some(x)]) = (node.op.downcast_ref::<Transpose>(), inputs) else {
            return Ok(Edit::Keep);
        };
        let Source::Node { node: inner, .. } = new.value(*x).source else { return Ok(Edit::Keep) };
        let inner = new.node(inner).clone();
        let (Some(first), [Some(source)]) =
            (inner.op.downcast_ref::<Transpose>(), &inner.inputs[..])
        else {
            return Ok(Edit::Keep);
        };
        let permutation: Vec<usize> =
            outer.permutation.iter().map(|axis| first.permutation[*axis]).collect();
        if permutation.iter().copied().eq(0..permutation.len()) {
            return Ok(Edit::Replace(vec![*source]));
        }
        let joined = new.add(&node.name, Transpose { permutation }, &[*source])?;
        Ok(Edit::Replace(joined))
    })
}
