//! Takes out nodes that no output and no update needs.

use crate::graph::{Edit, Graph, GraphError, Source, ValueId};

/// The Graph without nodes that no output and no update needs.
///
/// # Errors
/// If the result is not valid.
pub fn remove_dead(graph: &Graph) -> Result<Graph, GraphError> {
    let mut live = vec![false; graph.nodes().len()];
    let wanted = graph.outputs().iter().map(|output| output.value);
    let mut open: Vec<ValueId> =
        wanted.chain(graph.updates().iter().map(|(_, value)| *value)).collect();
    while let Some(id) = open.pop() {
        if let Source::Node { node, .. } = graph.value(id).source
            && !std::mem::replace(&mut live[node.index()], true)
        {
            open.extend(graph.node(node).inputs.iter().flatten());
        }
    }
    let is_live = |id: &ValueId| match graph.value(*id).source {
        Source::Node { node, .. } => live[node.index()],
        _ => true,
    };
    graph.rewrite(|_, node, _| {
        Ok(if node.outputs.iter().any(is_live) { Edit::Keep } else { Edit::Remove })
    })
}
