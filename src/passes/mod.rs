//! Passes over the Graph: one file each, all of them through [`Graph::rewrite`].

mod dead;
mod differentiate;
mod inference;
mod project_tables;
pub mod raise;
mod simplify;
mod training;
mod transposes;

pub use dead::remove_dead;
pub use differentiate::differentiate;
pub use inference::for_inference;
pub use project_tables::project_tables;
pub use simplify::simplify;
pub use training::{TRAINING_STEP, for_training};
pub use transposes::cancel_transposes;

use crate::graph::{Graph, GraphError};

/// The passes before a Plan for inference, in order: what acts in training alone goes, then what
/// does nothing, then what nobody needs; then what an exporter spelled out becomes fused operators, and
/// transposes that undo each other go; last, dense layers over looked-up rows become tables.
///
/// # Errors
/// If a pass makes a Graph that is not valid.
pub fn prepare(graph: &Graph) -> Result<Graph, GraphError> {
    Ok(prepare_noting(graph)?.0)
}

/// What [`prepare`] gives, and notes on what nearly became a fused operator.
///
/// # Errors
/// If a pass makes a Graph that is not valid.
pub fn prepare_noting(graph: &Graph) -> Result<(Graph, Vec<raise::Note>), GraphError> {
    let mut graph = remove_dead(&simplify(&for_inference(graph)?)?)?;
    let mut notes = Vec::new();
    if graph.is_exported() {
        (graph, notes) = raise::raise(&graph)?;
    }
    let graph = remove_dead(&project_tables(&cancel_transposes(&graph)?)?)?;
    #[cfg(debug_assertions)]
    graph.verify()?;
    Ok((graph, notes))
}

/// The passes before differentiation, in order: what acts in training takes its training form, then
/// what does nothing goes, then what nobody needs.
///
/// # Errors
/// If a pass makes a Graph that is not valid.
pub fn prepare_training(graph: &Graph) -> Result<Graph, GraphError> {
    let graph = remove_dead(&simplify(&for_training(graph)?)?)?;
    #[cfg(debug_assertions)]
    graph.verify()?;
    Ok(graph)
}
