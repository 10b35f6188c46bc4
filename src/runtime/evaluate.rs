//! Graphs without inputs, computed once.

use std::sync::Arc;

use super::{Options, RunError, Session, Tensors};
use crate::graph::{Graph, Tensor};
use crate::plan::PackCache;

/// The outputs of a Graph without inputs, in order, computed on the calling thread.
///
/// # Errors
/// If the Graph has inputs, or no kernel computes it.
pub fn evaluate(graph: &Graph) -> Result<Vec<Tensor>, RunError> {
    let options = Options::default().threads(1);
    let mut session = Session::new(graph, Arc::new(PackCache::new()), &options)?;
    let outputs = session.run(&Tensors::new())?;
    Ok(outputs.into_iter().map(|(_, tensor)| tensor).collect())
}
