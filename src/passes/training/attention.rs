//! Attention with dropout of its weights.

use std::sync::Arc;

use super::noise::Streams;
use crate::graph::{Graph, GraphError, ValueId};
use crate::ops::{Attention, AttentionTraining};

/// The operator that drops weights, in the place of one that would.
pub(super) fn expand(
    graph: &mut Graph,
    name: &str,
    attention: &Attention,
    inputs: &[Option<ValueId>],
    streams: &mut Streams,
) -> Result<Option<Vec<ValueId>>, GraphError> {
    if attention.dropout == 0.0 {
        return Ok(None);
    }
    let (stream, step) = streams.next(graph)?;
    let mut slots = inputs.to_vec();
    slots.resize(AttentionTraining::TRAINING_STEP, None);
    slots.push(Some(step));
    let op = AttentionTraining { attention: attention.clone(), stream };
    let outputs = graph.add_node(name, Arc::new(op), slots)?;
    let scores = if attention.dropped_scores { outputs[2] } else { outputs[1] };
    Ok(Some(vec![outputs[0], scores]))
}
