//! Batch normalization by the batch's statistics, which move the kept ones.

use std::sync::Arc;

use crate::graph::{Graph, GraphError, Source, Tensor, ValueId};
use crate::ops::{BatchNorm, BatchNormTraining, Binary, BinaryKind};
use crate::passes::inference::by_moving_statistics;

pub(super) fn expand(
    graph: &mut Graph,
    name: &str,
    norm: &BatchNorm,
    inputs: &[Option<ValueId>],
) -> Result<Vec<ValueId>, GraphError> {
    if norm.frozen {
        return Ok(vec![by_moving_statistics(graph, name, norm, inputs)?]);
    }
    let slot = |index: usize| inputs.get(index).copied().flatten();
    let training = BatchNormTraining { axis: norm.axis, epsilon: norm.epsilon };
    let slots = [0, BatchNorm::GAMMA, BatchNorm::BETA, BatchNorm::MASK].map(slot).to_vec();
    let outputs = graph.add_node(name, Arc::new(training), slots)?;
    for (index, moved) in
        [(BatchNorm::MOVING_MEAN, outputs[1]), (BatchNorm::MOVING_VARIANCE, outputs[2])]
    {
        if let Some(moving) = slot(index) {
            update(graph, name, norm.momentum, moving, moved)?;
        }
    }
    Ok(vec![outputs[0]])
}

/// `moving ← moving * momentum + batch * (1 - momentum)`; where the layer was called before in the
/// same step, from what that call left.
fn update(
    graph: &mut Graph,
    name: &str,
    momentum: f64,
    moving: ValueId,
    batch: ValueId,
) -> Result<(), GraphError> {
    let Source::Variable(variable) = graph.value(moving).source else {
        let reason = format!("node `{name}` has moving statistics that are no Variable");
        return Err(GraphError::Invalid(reason));
    };
    let earlier = graph.updates().iter().find(|(id, _)| *id == variable);
    let old = earlier.map_or(moving, |(_, value)| *value);
    let kept = graph.constant(Tensor::scalar(momentum as f32));
    let new = graph.constant(Tensor::scalar((1.0 - momentum) as f32));
    let kept = graph.add_one(name, Binary { kind: BinaryKind::Multiply }, &[old, kept])?;
    let new = graph.add_one(name, Binary { kind: BinaryKind::Multiply }, &[batch, new])?;
    let sum = graph.add_one(name, Binary { kind: BinaryKind::Add }, &[kept, new])?;
    graph.add_update(variable, sum)
}
