//! What no run changes goes into the bodies of `If`, `Loop` and `Scan`, so that weights are packed there
//! as they are outside.

use std::sync::Arc;

use super::RunError;
use crate::graph::{Edit, Graph, GraphError, Node, Operator, Source, Tensor, ValueId};
use crate::ops::{If, Loop, Scan};

/// The Graph whose bodies hold as constants what they take from around them, as far as no run changes
/// it.
///
/// # Errors
/// If the Graph cannot be rewritten, which would be a fault of ours.
pub(super) fn bind(graph: Graph) -> Result<Graph, RunError> {
    if graph.nodes().iter().all(|node| node.op.bodies().is_empty()) {
        return Ok(graph);
    }
    Ok(graph.rewrite(|new, node, inputs| {
        Ok(match bound(&graph, node)? {
            None => Edit::Keep,
            Some((op, kept)) => {
                let kept = inputs.iter().zip(kept).filter(|(_, kept)| *kept);
                let inputs = kept.map(|(input, _)| *input).collect();
                Edit::Replace(new.add_node(&node.name, op, inputs)?)
            }
        })
    })?)
}

type Bound = (Arc<dyn Operator>, Vec<bool>);

/// The operator with constants in its bodies, and which inputs it still takes; `None` if there are none
/// to put in.
fn bound(graph: &Graph, node: &Node) -> Result<Option<Bound>, GraphError> {
    let mut kept = vec![true; node.inputs.len()];
    // The body's inputs from `first` on stand in the node's slots from `slot` on.
    let mut fill = |body: &Arc<Graph>, first: usize, slot: usize| {
        let mut fixed: Vec<Option<Arc<Tensor>>> = vec![None; body.inputs().len()];
        for (index, place) in fixed.iter_mut().enumerate().skip(first) {
            let at = slot + index - first;
            let input = node.inputs.get(at).copied().flatten();
            *place = input.and_then(|id| unchanging(graph, id));
            if let Some(kept) = kept.get_mut(at) {
                *kept = place.is_none();
            }
        }
        match fixed.iter().all(Option::is_none) {
            true => Ok(body.clone()),
            false => body.with_constants(&fixed).map(Arc::new),
        }
    };
    let op: Arc<dyn Operator> = if let Some(op) = node.op.downcast_ref::<If>() {
        let then_branch = fill(&op.then_branch, 0, 1)?;
        let else_branch = fill(&op.else_branch, 0, 1 + op.then_branch.inputs().len())?;
        Arc::new(If { then_branch, else_branch, outputs: op.outputs.clone() })
    } else if let Some(op) = node.op.downcast_ref::<Loop>() {
        let first = Loop::FIRST + op.carried;
        Arc::new(Loop { body: fill(&op.body, first, first)?, ..op.clone() })
    } else if let Some(op) = node.op.downcast_ref::<Scan>() {
        let first = op.states + op.sequences.len();
        Arc::new(Scan { body: fill(&op.body, first, first)?, ..op.clone() })
    } else {
        return Ok(None);
    };
    Ok(kept.contains(&false).then_some((op, kept)))
}

/// The tensor of a value that no run changes.
fn unchanging(graph: &Graph, id: ValueId) -> Option<Arc<Tensor>> {
    match &graph.value(id).source {
        Source::Constant(tensor) => Some(tensor.clone()),
        Source::Variable(id) if !graph.is_kept(*id) => Some(graph.variable(*id).value.clone()),
        _ => None,
    }
}
