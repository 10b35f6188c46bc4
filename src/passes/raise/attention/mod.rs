//! Attention as exporters spell it: `softmax(scale · q·kᵀ + mask)·v`.
//!
//! The products are of `[batch, heads, time, features]`, or of batch and heads in one axis, or of one
//! sequence. The mask chooses between the scores and a number far below them, or between 0 and such a
//! number that is added. A mask of other numbers, such as a bias of positions, stays spelled out.

mod mask;
mod scores;

use std::sync::Arc;

use self::mask::Truth;
use self::scores::{Matrix, Weights};
use super::{Note, same};
use crate::graph::{Dim, Edit, Graph, GraphError, ValueId};
use crate::ops::{Attention, MatMul, Reshape, Transpose};

/// The Graph with the operator in place of its parts.
///
/// # Errors
/// If the result is not valid.
pub fn raise(graph: &Graph, notes: &mut Vec<Note>) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        let (&[output], &[Some(weights), Some(value)]) = (&node.outputs[..], inputs) else {
            return Ok(Edit::Keep);
        };
        if node.op.downcast_ref::<MatMul>().is_none() {
            return Ok(Edit::Keep);
        }
        let Some(found) = scores::weights(new, weights) else { return Ok(Edit::Keep) };
        let found = found.and_then(|found| fit(new, found, weights, value));
        let put = found.and_then(|found| {
            let dims = &graph.ty(output).dims;
            // What does not fit the operator stays as it is.
            put(new, &node.name, &found, value, dims).map_err(|error| error.to_string())
        });
        Ok(match put {
            Ok(value) => Edit::Replace(vec![value]),
            Err(reason) => {
                notes.push(Note { node: node.name.clone(), rule: "attention", reason });
                Edit::Keep
            }
        })
    })
}

/// The sizes before the last two.
fn lead(graph: &Graph, value: ValueId) -> &[Dim] {
    let dims = &graph.ty(value).dims;
    &dims[..dims.len().saturating_sub(2)]
}

/// Checks that no product repeats heads or batch, which attention does not.
fn fit(graph: &Graph, found: Weights, weights: ValueId, value: ValueId) -> Result<Weights, String> {
    let is_same = same(lead(graph, found.query.value), lead(graph, found.key.value))
        && same(lead(graph, weights), lead(graph, value));
    match is_same {
        true => Ok(found),
        false => Err("its products repeat heads or batch".to_owned()),
    }
}

/// Adds the operator, and the moves of axes around it.
fn put(
    graph: &mut Graph,
    name: &str,
    found: &Weights,
    value: ValueId,
    output: &[Dim],
) -> Result<ValueId, GraphError> {
    let value = Matrix { value, turned: false };
    let query = sequence(graph, name, &found.lead, found.query, false)?;
    let key = sequence(graph, name, &found.lead, found.key, true)?;
    let value = sequence(graph, name, &found.lead, value, false)?;
    let mask = condition(graph, name, &found.truth, found.lead.len())?;
    let op = Attention {
        scale: found.scale as f32,
        causal: false,
        sliding_window: None,
        masked_row: found.row,
        dropout: 0.0,
        dropped_scores: false,
    };
    let inputs = [Some(query), Some(key), Some(value)].into_iter().chain(mask.map(Some));
    let outputs = graph.add_node(name, Arc::new(op), inputs.collect())?;
    let mut found = outputs[0];
    if graph.ty(found).dims[2] != Dim::Known(1) {
        found = graph.add_one(name, Transpose { permutation: vec![0, 2, 1, 3] }, &[found])?;
    }
    match graph.ty(found).dims == output {
        true => Ok(found),
        false => graph.add_one(name, Reshape::to(output), &[found]),
    }
}

/// A matrix of each head as `[batch, time, heads, features]`; `is_key` if its features come first.
fn sequence(
    graph: &mut Graph,
    name: &str,
    lead: &[Dim],
    matrix: Matrix,
    is_key: bool,
) -> Result<ValueId, GraphError> {
    let dims = &graph.ty(matrix.value).dims;
    let last = dims[dims.len().saturating_sub(2)..].to_vec();
    let mut whole = match lead {
        [] => vec![Dim::Known(1), Dim::Known(1)],
        [batch] => vec![batch.clone(), Dim::Known(1)],
        lead => lead.to_vec(),
    };
    whole.extend(last);
    let reshaped = match *dims == whole {
        true => matrix.value,
        false => graph.add_one(name, Reshape::to(whole), &[matrix.value])?,
    };
    let permutation = match matrix.turned != is_key {
        true => vec![0, 3, 1, 2],
        false => vec![0, 2, 1, 3],
    };
    graph.add_one(name, Transpose { permutation }, &[reshaped])
}

/// The mask with all four axes.
fn condition(
    graph: &mut Graph,
    name: &str,
    truth: &Truth,
    lead: usize,
) -> Result<Option<ValueId>, GraphError> {
    let Some(value) = truth.put(graph, name)? else { return Ok(None) };
    let given = &graph.ty(value).dims;
    let missing = (lead + 2).saturating_sub(given.len());
    let mut dims: Vec<Dim> = std::iter::repeat_n(Dim::Known(1), missing).collect();
    dims.extend(given.iter().cloned());
    // Heads are the second axis: of one there is none in the scores.
    while dims.len() < 4 {
        dims.insert(dims.len().saturating_sub(2), Dim::Known(1));
    }
    match *given == dims {
        true => Ok(Some(value)),
        false => graph.add_one(name, Reshape::to(dims), &[value]).map(Some),
    }
}
