//! Takes out what acts in training alone.

use crate::graph::{Dim, Edit, Graph, GraphError, OpError, Tensor, ValueId};
use crate::ops::{BatchNorm, Binary, BinaryKind, Dropout, Reshape, Unary, UnaryKind};

/// The Graph without Dropout, and with batch normalization by its moving statistics.
///
/// # Errors
/// If the result is not valid.
pub fn for_inference(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        if let Some(norm) = node.op.downcast_ref::<BatchNorm>() {
            return Ok(Edit::Replace(vec![by_moving_statistics(new, &node.name, norm, inputs)?]));
        }
        Ok(match (node.op.downcast_ref::<Dropout>(), inputs) {
            (Some(_), [Some(x)]) => Edit::Replace(vec![*x]),
            _ => Edit::Keep,
        })
    })
}

/// `x * factor + addend` with the factor `γ / √(variance + ε)` and the addend `β - mean * factor`.
pub(super) fn by_moving_statistics(
    graph: &mut Graph,
    name: &str,
    norm: &BatchNorm,
    inputs: &[Option<ValueId>],
) -> Result<ValueId, GraphError> {
    let slot = |index: usize| inputs.get(index).copied().flatten();
    let needed = |index: usize, input: &str| {
        slot(index).ok_or_else(|| GraphError::Node {
            node: name.to_owned(),
            op: "batch_norm",
            source: OpError::Missing { input: input.to_owned() },
        })
    };
    let x = needed(0, "x")?;
    let mean = needed(BatchNorm::MOVING_MEAN, "moving_mean")?;
    let variance = needed(BatchNorm::MOVING_VARIANCE, "moving_variance")?;
    let epsilon = graph.constant(Tensor::scalar(norm.epsilon));
    let spread = graph.add_one(name, Binary { kind: BinaryKind::Add }, &[variance, epsilon])?;
    let mut factor = graph.add_one(name, Unary { kind: UnaryKind::Rsqrt }, &[spread])?;
    if let Some(gamma) = slot(BatchNorm::GAMMA) {
        factor = graph.add_one(name, Binary { kind: BinaryKind::Multiply }, &[factor, gamma])?;
    }
    let product = graph.add_one(name, Binary { kind: BinaryKind::Multiply }, &[mean, factor])?;
    let mut addend = match slot(BatchNorm::BETA) {
        Some(beta) => {
            graph.add_one(name, Binary { kind: BinaryKind::Subtract }, &[beta, product])?
        }
        None => graph.add_one(name, Unary { kind: UnaryKind::Negative }, &[product])?,
    };
    let ty = graph.ty(x);
    let behind = ty.rank() - 1 - norm.axis;
    if behind > 0 {
        let mut dims = vec![ty.dims[norm.axis].clone()];
        dims.resize(1 + behind, Dim::Known(1));
        factor = graph.add_one(name, Reshape::to(dims.clone()), &[factor])?;
        addend = graph.add_one(name, Reshape::to(dims), &[addend])?;
    }
    let scaled = graph.add_one(name, Binary { kind: BinaryKind::Multiply }, &[x, factor])?;
    graph.add_one(name, Binary { kind: BinaryKind::Add }, &[scaled, addend])
}
