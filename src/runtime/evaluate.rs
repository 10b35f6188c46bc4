//! Graphs without inputs, computed once.

use super::{Options, RunError, fold};
use crate::graph::{Graph, Tensor};
use crate::passes;

/// The outputs of a Graph without inputs, in order, computed on the calling thread.
///
/// # Errors
/// If the Graph has inputs, or no kernel computes it.
pub fn evaluate(graph: &Graph) -> Result<Vec<Tensor>, RunError> {
    fold::run(passes::prepare(graph)?, &Options::default().threads(1))
}
