//! Attention as exporters spell it: `softmax(scale · q·kᵀ + mask)·v`.
//!
//! The products are of `[batch, heads, time, features]`, or of batch and heads in one axis. The mask is a
//! choice between the scores and a number far below them, or a choice between 0 and such a number that
//! is added. A mask of other numbers, such as a bias of positions, stays spelled out.

use std::collections::HashMap;

use super::expand::node_of;
use super::{Note, outside};
use crate::graph::{DType, Dim, Graph, GraphError, Node, ValueId};
use crate::ops::{
    Attention, Binary, BinaryKind, MaskedRow, MatMul, Reshape, Select, Softmax, Transpose,
    Unary, UnaryKind,
};

/// Numbers from here on count as "no attention".
const FAR: f64 = -1e8;

/// What attends to what.
#[derive(Clone, Debug)]
struct Found {
    output: ValueId,
    query: ValueId,
    /// `[…, features, source]`.
    key: ValueId,
    value: ValueId,
    scale: f64,
    mask: Option<Mask>,
}

/// Which scores count.
#[derive(Clone, Copy, Debug)]
struct Mask {
    condition: ValueId,
    /// Whether scores count where it is false.
    is_inverted: bool,
    row: MaskedRow,
}

/// The Graph with the operator in place of its parts.
///
/// # Errors
/// If the result is not valid.
pub fn raise(graph: &Graph, notes: &mut Vec<Note>) -> Result<Graph, GraphError> {
    let mut found = Vec::new();
    for node in graph.nodes() {
        match attention(graph, node) {
            Some(Ok(one)) => found.push(one),
            Some(Err(reason)) => {
                notes.push(Note { node: node.name.clone(), rule: "attention", reason });
            }
            None => {}
        }
    }
    super::replace(graph, &found, |found| found.output, |new, name, found, seen| {
        put(new, name, found, seen)
    })
}

/// The attention whose last product `node` is; `None` if there is no softmax before it.
fn attention(graph: &Graph, node: &Node) -> Option<Result<Found, String>> {
    node.op.downcast_ref::<MatMul>()?;
    let output = *node.outputs.first()?;
    let (weights, value) = (node.inputs.first().copied()??, node.inputs.get(1).copied()??);
    let rank = graph.ty(output).rank();
    let softmax = node_of(graph, weights)?;
    let op = softmax.op.downcast_ref::<Softmax>()?;
    if op.log || op.axis + 1 != graph.ty(weights).rank() {
        return None;
    }
    if !matches!(rank, 3 | 4) || graph.ty(value).rank() != rank {
        return None;
    }
    Some(scores(graph, softmax.inputs.first().copied()??, rank).and_then(|parts| {
        let Scores { query, key, scale, mask } = parts;
        if graph.ty(query).rank() != rank || graph.ty(key).rank() != rank {
            return Err("its products have different numbers of axes".to_owned());
        }
        // Products repeat axes of size 1, which attention does not.
        let lead = |id: ValueId| graph.ty(id).dims[..rank - 2].to_vec();
        if lead(query) != lead(key) || lead(query) != lead(value) {
            return Err("its products repeat heads or batch".to_owned());
        }
        Ok(Found { output, query, key, value, scale, mask })
    }))
}

/// What scores are made of.
struct Scores {
    query: ValueId,
    key: ValueId,
    scale: f64,
    mask: Option<Mask>,
}

fn scores(graph: &Graph, mut id: ValueId, rank: usize) -> Result<Scores, String> {
    let (mut scale, mut mask) = (1.0, None);
    for _ in 0..6 {
        let node = node_of(graph, id).ok_or("its scores are given")?;
        let input = |slot: usize| {
            let found = node.inputs.get(slot).copied().flatten();
            found.ok_or_else(|| "an input of its scores is not there".to_owned())
        };
        if node.op.downcast_ref::<MatMul>().is_some() {
            let (query, by_query) = scaled(graph, input(0)?);
            let (key, by_key) = scaled(graph, input(1)?);
            let scale = scale * by_query * by_key;
            return Ok(Scores { query, key, scale, mask });
        }
        if node.op.downcast_ref::<Select>().is_some() {
            let (condition, a, b) = (input(0)?, input(1)?, input(2)?);
            let (scores, far, is_inverted) =
                match (outside::number(graph, a), outside::number(graph, b)) {
                    (None, Some(far)) => (a, far, false),
                    (Some(far), None) => (b, far, true),
                    _ => return Err("its scores are a choice between two tensors".to_owned()),
                };
            set(graph, &mut mask, condition, far, is_inverted, rank, false)?;
            id = scores;
            continue;
        }
        let kind = node.op.downcast_ref::<Binary>().map(|op| op.kind);
        let (a, b) = match kind {
            Some(_) => (input(0)?, input(1)?),
            None => return Err(format!("`{}` acts on its scores", node.name)),
        };
        let numbers = (outside::number(graph, a), outside::number(graph, b));
        id = match (kind, numbers) {
            (Some(BinaryKind::Multiply), (None, Some(number))) => {
                scale *= number;
                a
            }
            (Some(BinaryKind::Multiply), (Some(number), None)) => {
                scale *= number;
                b
            }
            (Some(BinaryKind::Divide), (None, Some(number))) if number != 0.0 => {
                scale /= number;
                a
            }
            // The mask is added last: what comes before it is scaled.
            (Some(BinaryKind::Add), _) if scale == 1.0 => {
                let (scores, condition, far, is_inverted) = added(graph, a, b)?;
                set(graph, &mut mask, condition, far, is_inverted, rank, true)?;
                scores
            }
            _ => return Err(format!("`{}` acts on its scores", node.name)),
        };
    }
    Err("too much acts on its scores".to_owned())
}

/// The scores, and the choice between 0 and a number far below that is added to them.
fn added(graph: &Graph, a: ValueId, b: ValueId) -> Result<(ValueId, ValueId, f64, bool), String> {
    for (scores, mask) in [(a, b), (b, a)] {
        let Some(node) = node_of(graph, mask) else { continue };
        if node.op.downcast_ref::<Select>().is_none() {
            continue;
        }
        let part = |slot: usize| node.inputs.get(slot).copied().flatten();
        let (Some(condition), Some(on), Some(off)) = (part(0), part(1), part(2)) else { continue };
        match (outside::number(graph, on), outside::number(graph, off)) {
            (Some(0.0), Some(far)) => return Ok((scores, condition, far, false)),
            (Some(far), Some(0.0)) => return Ok((scores, condition, far, true)),
            _ => {}
        }
    }
    Err("what is added to its scores is no choice between 0 and a number far below".to_owned())
}

/// Notes the mask, if it can be one.
fn set(
    graph: &Graph,
    mask: &mut Option<Mask>,
    condition: ValueId,
    far: f64,
    is_inverted: bool,
    rank: usize,
    is_added: bool,
) -> Result<(), String> {
    if mask.is_some() {
        return Err("several masks act on its scores".to_owned());
    }
    // NaN from infinities; equal weights from scores that are equal, or lost beside the number.
    let row = match far {
        far if far == f64::NEG_INFINITY => MaskedRow::Nan,
        far if !is_added && far <= FAR => MaskedRow::Uniform,
        far if far <= -1e30 => MaskedRow::Uniform,
        far => return Err(format!("its mask lowers scores by {far}, which does not hide them")),
    };
    let ty = graph.ty(condition);
    if ty.dtype != DType::Bool || ty.rank() > rank {
        return Err("its mask has other axes than its scores".to_owned());
    }
    *mask = Some(Mask { condition, is_inverted, row });
    Ok(())
}

/// A value without the number that it is multiplied with.
fn scaled(graph: &Graph, id: ValueId) -> (ValueId, f64) {
    let alone = (id, 1.0);
    let Some(node) = node_of(graph, id) else { return alone };
    let Some(kind) = node.op.downcast_ref::<Binary>().map(|op| op.kind) else { return alone };
    let (Some(&Some(a)), Some(&Some(b))) = (node.inputs.first(), node.inputs.get(1)) else {
        return alone;
    };
    // Of the same shape, as it is not repeated by the number.
    let is_same = |other: ValueId| graph.ty(other).dims == graph.ty(id).dims;
    match (kind, outside::number(graph, a), outside::number(graph, b)) {
        (BinaryKind::Multiply, None, Some(number)) if is_same(a) => (a, number),
        (BinaryKind::Multiply, Some(number), None) if is_same(b) => (b, number),
        (BinaryKind::Divide, None, Some(number)) if is_same(a) && number != 0.0 => {
            (a, 1.0 / number)
        }
        _ => alone,
    }
}

/// Adds the operator, and the moves of axes around it.
fn put(
    graph: &mut Graph,
    name: &str,
    found: &Found,
    seen: &HashMap<ValueId, ValueId>,
) -> Result<Option<ValueId>, GraphError> {
    let there = |id: ValueId| seen.get(&id).copied();
    let (Some(query), Some(key), Some(value)) =
        (there(found.query), there(found.key), there(found.value))
    else {
        return Ok(None);
    };
    let rank = graph.ty(query).rank();
    // `[batch, time, heads, features]` of each.
    let order = |turned: bool| match (rank, turned) {
        (4, false) => vec![0, 2, 1, 3],
        (4, true) => vec![0, 3, 1, 2],
        (_, false) => vec![0, 1, 2],
        (_, true) => vec![0, 2, 1],
    };
    let mut parts = Vec::with_capacity(4);
    for (part, turned) in [(query, false), (key, true), (value, false)] {
        let permutation = order(turned);
        let mut part = match permutation.iter().copied().eq(0..rank) {
            true => part,
            false => graph.add_one(name, Transpose { permutation }, &[part])?,
        };
        if rank == 3 {
            let mut dims = graph.ty(part).dims.clone();
            dims.insert(2, Dim::Known(1));
            part = graph.add_one(name, Reshape::to(dims), &[part])?;
        }
        parts.push(Some(part));
    }
    let mut masked_row = MaskedRow::Uniform;
    if let Some(mask) = found.mask {
        let Some(mut condition) = there(mask.condition) else { return Ok(None) };
        masked_row = mask.row;
        let mut dims = graph.ty(condition).dims.clone();
        // Of three axes the first is batch and heads together.
        if rank == 3 {
            let lead = rank - dims.len();
            dims = std::iter::repeat_n(Dim::Known(1), lead).chain(dims).collect();
            dims.insert(1, Dim::Known(1));
        } else {
            let lead = 4 - dims.len();
            dims = std::iter::repeat_n(Dim::Known(1), lead).chain(dims).collect();
        }
        if dims != graph.ty(condition).dims {
            condition = graph.add_one(name, Reshape::to(dims), &[condition])?;
        }
        if mask.is_inverted {
            condition = graph.add_one(name, Unary { kind: UnaryKind::Not }, &[condition])?;
        }
        parts.push(Some(condition));
    }
    let op = Attention {
        scale: found.scale as f32,
        causal: false,
        sliding_window: None,
        masked_row,
        dropout: 0.0,
        dropped_scores: false,
    };
    let outputs = graph.add_node(name, std::sync::Arc::new(op), parts)?;
    let Some(&output) = outputs.first() else { return Ok(None) };
    match rank {
        4 => {
            let permutation = vec![0, 2, 1, 3];
            graph.add_one(name, Transpose { permutation }, &[output]).map(Some)
        }
        _ => {
            let mut dims = graph.ty(output).dims.clone();
            dims.remove(2);
            graph.add_one(name, Reshape::to(dims), &[output]).map(Some)
        }
    }
}
