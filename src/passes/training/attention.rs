//! Attention with dropout of its probabilities.

use std::sync::Arc;

use super::noise::Streams;
use crate::graph::{Dim, Graph, GraphError, Tensor, ValueId};
use crate::ops::{Attention, MatMul, Take, Transpose};

/// The scores by themselves, dropout, and the product with the values.
pub(super) fn expand(
    graph: &mut Graph,
    name: &str,
    attention: &Attention,
    inputs: &[Option<ValueId>],
    streams: &mut Streams,
) -> Result<Option<Vec<ValueId>>, GraphError> {
    let value = inputs.get(2).copied().flatten();
    let (true, Some(value)) = (attention.dropout > 0.0, value) else { return Ok(None) };
    let plain = Attention { dropout: 0.0, ..attention.clone() };
    let scores = graph.add_node(name, Arc::new(plain), inputs.to_vec())?[1];
    let dropped = streams.drop(graph, name, attention.dropout, &[], scores)?;
    let exchanged = Transpose { permutation: vec![0, 2, 1, 3] };
    let values = graph.add_one(name, exchanged.clone(), &[value])?;
    let values = repeat_heads(graph, name, values, scores)?;
    let product = graph.add_one(name, MatMul, &[dropped, values])?;
    let output = graph.add_one(name, exchanged, &[product])?;
    let scores = if attention.dropped_scores { dropped } else { scores };
    Ok(Some(vec![output, scores]))
}

/// Values `[batch, key_heads, source, features]`, each head as often as neighbouring heads of the
/// scores share it.
fn repeat_heads(
    graph: &mut Graph,
    name: &str,
    values: ValueId,
    scores: ValueId,
) -> Result<ValueId, GraphError> {
    let heads = |id: ValueId| graph.ty(id).dims.get(1).and_then(Dim::known);
    match (heads(scores), heads(values)) {
        (Some(heads), Some(own)) if heads != own && own > 0 => {
            let each = heads / own;
            let indices: Vec<i64> = (0..heads).map(|head| (head / each) as i64).collect();
            let indices = graph.constant(Tensor::new([heads], indices)?);
            graph.add_one(name, Take { axis: 1 }, &[values, indices])
        }
        (Some(_), Some(_)) => Ok(values),
        _ => Err(GraphError::Invalid(format!(
            "attention `{name}` has dropout and a number of heads that is not known"
        ))),
    }
}
