//! Whether what is computed from the rows of a batch treats each row apart.

use std::collections::HashSet;

use crate::graph::{Dim, Graph, Node, ValueId};
use crate::ops::{Binary, Cumsum, LayerNorm, MatMul, Reshape, Reverse, Select, Softmax, Take};

/// The first node from `first` on that may let a row of one of `inputs` see another row.
///
/// Every value that comes of the inputs must keep the rows as its first axis, or a run of parts for
/// each row, and nothing may run along that axis.
pub fn mixing<'a>(graph: &'a Graph, inputs: &[ValueId], first: usize) -> Option<&'a Node> {
    let rows = inputs.first().and_then(|&input| graph.ty(input).dims.first())?;
    let mut of_rows: HashSet<ValueId> = inputs.iter().copied().collect();
    graph.nodes().iter().skip(first).find(|node| {
        let used: Vec<ValueId> =
            node.inputs.iter().flatten().copied().filter(|value| of_rows.contains(value)).collect();
        if used.is_empty() {
            return false;
        }
        of_rows.extend(&node.outputs);
        !keeps_rows(graph, node, &used, rows) || runs_along_rows(graph, node, &used)
    })
}

/// Whether the first axis of a node's outputs is still that of the values in `used`.
fn keeps_rows(graph: &Graph, node: &Node, used: &[ValueId], rows: &Dim) -> bool {
    let lead = |value: ValueId| graph.ty(value).dims.first();
    let merges = node.op.downcast_ref::<Reshape>().is_some();
    node.outputs.iter().all(|&output| {
        let Some(found) = lead(output) else { return false };
        let same = used.iter().any(|&value| lead(value) == Some(found));
        same || merges
            && (found == rows || used.iter().any(|&value| is_merged(graph, value, found)))
    })
}

/// Whether `size` is that of the first axes of a value as one.
fn is_merged(graph: &Graph, value: ValueId, size: &Dim) -> bool {
    let mut product = Dim::Known(1);
    graph.ty(value).dims.iter().any(|dim| {
        product = product.clone() * dim.clone();
        product == *size
    })
}

/// Whether an operator that keeps the first axis works along it.
fn runs_along_rows(graph: &Graph, node: &Node, used: &[ValueId]) -> bool {
    let rank = |value: ValueId| graph.ty(value).rank();
    let op = &node.op;
    // Broadcasting lays the rows of a value of lower rank along another axis.
    let broadcasts = op.downcast_ref::<Binary>().is_some()
        || op.downcast_ref::<Select>().is_some()
        || op.downcast_ref::<MatMul>().is_some();
    let laid_elsewhere = node.outputs.iter().any(|&output| {
        broadcasts && rank(output) > 0 && used.iter().any(|&value| rank(value) != rank(output))
    });
    laid_elsewhere
        || op.downcast_ref::<Reverse>().is_some_and(|op| op.axis == 0)
        || op.downcast_ref::<Cumsum>().is_some_and(|op| op.axis == 0)
        || op.downcast_ref::<Softmax>().is_some_and(|op| op.axis == 0)
        || op.downcast_ref::<LayerNorm>().is_some_and(|op| {
            node.inputs.first().copied().flatten().is_some_and(|x| op.axes >= rank(x))
        })
        || op.downcast_ref::<Take>().is_some_and(|op| {
            op.axis == 0
                && node.inputs.first().copied().flatten().is_some_and(|x| used.contains(&x))
        })
}
