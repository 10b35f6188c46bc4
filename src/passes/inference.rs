//! Takes out what acts in training alone.

use crate::graph::{Edit, Graph, GraphError};
use crate::ops::Dropout;

/// The Graph without Dropout.
///
/// # Errors
/// If the result is not valid.
pub fn for_inference(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|_, node, inputs| {
        Ok(match (node.op.downcast_ref::<Dropout>(), inputs) {
            (Some(_), [Some(x)]) => Edit::Replace(vec![*x]),
            _ => Edit::Keep,
        })
    })
}
