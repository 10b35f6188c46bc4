//! Nodes all of whose inputs are constants are computed while the file is read.

use std::sync::Arc;

use super::context::Context;
use super::error::Problem;
use super::limits;
use super::lower::{Lowering, Scope};
use super::operand::Operand;
use super::operators::Row;
use super::proto::NodeProto;
use crate::graph::{Graph, TensorType};
use crate::runtime;

/// The outputs of a node whose inputs are all constants, if they are small; `None` for other nodes, and
/// where no kernel computes it. Weights are no constants: training may change them.
///
/// # Errors
/// If the node cannot be read.
pub fn fold(
    lowering: &mut Lowering,
    row: &Row,
    node: &NodeProto,
    operands: &[Option<Operand>],
    context: &Arc<Context>,
    name: &str,
) -> Result<Option<Vec<Operand>>, Problem> {
    let is_known = |operand: &Operand| matches!(operand, Operand::Known(_));
    let holds_graphs = node.attribute.iter().any(|attribute| attribute.g.is_some());
    if !row.folds || holds_graphs || operands.is_empty() || !operands.iter().flatten().all(is_known)
    {
        return Ok(None);
    }
    let mut scratch = Lowering::new(name);
    let outputs = scratch.dispatch(row, node, operands, &Scope::default(), context, name)?;
    let size = |ty: TensorType| {
        let mut sizes = ty.dims.iter().map(|dim| dim.known());
        sizes.try_fold(1usize, |product, size| product.checked_mul(size?))
    };
    let sizes = outputs.iter().map(|output| size(scratch.ty(output)));
    let total = sizes.into_iter().try_fold(0usize, |sum, size| sum.checked_add(size?));
    let Some(total) = total.filter(|total| *total <= limits::FOLDED) else { return Ok(None) };
    if outputs.iter().all(is_known) {
        return Ok(Some(outputs));
    }
    // The nodes within may be larger than what they give.
    let largest = scratch.graph.nodes().iter().flat_map(|node| &node.outputs);
    let largest = largest.map(|id| size(scratch.graph.ty(*id).clone())).max_by_key(|size| *size);
    let is_small = largest.flatten().is_some_and(|largest| largest <= 4 * limits::FOLDED);
    let folded = lowering.folded.saturating_add(total);
    let work = lowering.folding.saturating_add(scratch.graph.cost().flops);
    if !is_small || folded > limits::FOLDED_IN_ALL || work > limits::FOLDING {
        return Ok(None);
    }
    for (index, output) in outputs.iter().enumerate() {
        let value = scratch.materialize(output, name)?;
        scratch.graph.add_output(index.to_string(), value)?;
    }
    (lowering.folded, lowering.folding) = (folded, work);
    Ok(evaluate(&scratch.graph))
}

fn evaluate(graph: &Graph) -> Option<Vec<Operand>> {
    let tensors = runtime::evaluate(graph).ok()?;
    Some(tensors.into_iter().map(Operand::known).collect())
}
