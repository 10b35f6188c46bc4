//! Takes out nodes that change nothing.

use crate::graph::{Edit, Graph, GraphError, Node, ValueId};
use crate::ops::{Activate, Activation, Cast, Reshape, Transpose};

/// The Graph without casts to the same type, reshapes to the same shape, transposes that keep the
/// order and linear activations.
///
/// # Errors
/// If the result is not valid.
pub fn simplify(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        Ok(match inputs {
            [Some(x)] if changes_nothing(new, node, *x) => Edit::Replace(vec![*x]),
            _ => Edit::Keep,
        })
    })
}

fn changes_nothing(graph: &Graph, node: &Node, x: ValueId) -> bool {
    let ty = graph.ty(x);
    if let Some(cast) = node.op.downcast_ref::<Cast>() {
        cast.to == ty.dtype
    } else if let Some(reshape) = node.op.downcast_ref::<Reshape>() {
        reshape.dims == ty.dims
    } else if let Some(transpose) = node.op.downcast_ref::<Transpose>() {
        transpose.permutation.iter().copied().eq(0..ty.rank())
    } else if let Some(activate) = node.op.downcast_ref::<Activate>() {
        activate.activation == Activation::Linear
    } else {
        false
    }
}
