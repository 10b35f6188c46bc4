//! Layer normalization as exporters spell it: `(x - mean) / √(variance + ε) · γ + β`, in any order.
//!
//! It is found from its standard deviation: the root of the mean, over the last axis, of the square of
//! `x` less its mean. What is made of x, mean and root by arithmetic is compared as a polynomial.

use std::collections::HashMap;

use super::algebra::{Poly, Term};
use super::expand::{Expander, node_of};
use super::outside;
use crate::graph::{Dim, Graph, GraphError, ValueId};
use crate::ops::{
    Activate, Binary, BinaryKind, LayerNorm, NormForm, Reduce, ReduceKind, Reshape, Unary,
    UnaryKind,
};

/// A normalization, and the value that it gives.
#[derive(Clone, Debug)]
struct Found {
    output: ValueId,
    x: ValueId,
    gamma: Option<ValueId>,
    beta: Option<ValueId>,
    epsilon: f32,
}

/// The root of a variance.
#[derive(Clone, Copy, Debug)]
struct Root {
    x: ValueId,
    mean: ValueId,
    epsilon: f64,
}

/// The Graph with the operator in place of its parts.
///
/// # Errors
/// If the result is not valid.
pub fn raise(graph: &Graph) -> Result<Graph, GraphError> {
    let mut roots: HashMap<ValueId, Root> = HashMap::new();
    for node in graph.nodes() {
        if let Some(&output) = node.outputs.first()
            && let Some(root) = root(graph, output)
        {
            roots.insert(output, root);
        }
    }
    if roots.is_empty() {
        return Ok(graph.clone());
    }
    // The last that is one of each root: with γ and β.
    let mut last: HashMap<ValueId, Found> = HashMap::new();
    for node in graph.nodes() {
        let is_arithmetic = node.op.downcast_ref::<Binary>().is_some();
        if let Some(&output) = node.outputs.first().filter(|_| is_arithmetic)
            && let Some((root, found)) = normalization(graph, &roots, output)
        {
            last.insert(root, found);
        }
    }
    let found: Vec<Found> = last.into_values().collect();
    super::replace(
        graph,
        &found,
        |found| found.output,
        |new, name, found, seen| {
            let Some(&x) = seen.get(&found.x) else { return Ok(None) };
            let width = new.ty(x).dims.last().cloned();
            let mut inputs = vec![Some(x)];
            for part in [found.gamma, found.beta] {
                let Some(part) = part else {
                    inputs.push(None);
                    continue;
                };
                let (Some(&part), Some(width)) = (seen.get(&part), width.clone()) else {
                    return Ok(None);
                };
                inputs.push(Some(match new.ty(part).rank() {
                    1 => part,
                    _ => new.add_one(name, Reshape::to([width]), &[part])?,
                }));
            }
            let op = LayerNorm { axes: 1, epsilon: found.epsilon, form: NormForm::Standard };
            Ok(new.add_node(name, std::sync::Arc::new(op), inputs)?.first().copied())
        },
    )
}

/// The root that a value is: of the mean of `(x - mean)²` and ε.
fn root(graph: &Graph, value: ValueId) -> Option<Root> {
    let node = node_of(graph, value)?;
    let kind = node.op.downcast_ref::<Unary>()?.kind;
    if !matches!(kind, UnaryKind::Sqrt | UnaryKind::Rsqrt) {
        return None;
    }
    let sum = node_of(graph, node.inputs.first().copied()??)?;
    if sum.op.downcast_ref::<Binary>()?.kind != BinaryKind::Add {
        return None;
    }
    let (a, b) = (sum.inputs.first().copied()??, sum.inputs.get(1).copied()??);
    let (variance, epsilon) = match (outside::number(graph, a), outside::number(graph, b)) {
        (None, Some(epsilon)) => (a, epsilon),
        (Some(epsilon), None) => (b, epsilon),
        _ => return None,
    };
    let squares = mean_of(graph, variance)?;
    let node = node_of(graph, squares)?;
    let first = node.inputs.first().copied()??;
    let second = node.inputs.get(1).copied().flatten();
    let deviation = if let Some(op) = node.op.downcast_ref::<Binary>() {
        match op.kind {
            BinaryKind::Multiply if second == Some(first) => first,
            BinaryKind::Power if outside::number(graph, second?) == Some(2.0) => first,
            _ => return None,
        }
    } else {
        let kind = node.op.downcast_ref::<Unary>()?.kind;
        (kind == UnaryKind::Square).then_some(first)?
    };
    let node = node_of(graph, deviation)?;
    if node.op.downcast_ref::<Binary>()?.kind != BinaryKind::Subtract {
        return None;
    }
    let (x, mean) = (node.inputs.first().copied()??, node.inputs.get(1).copied()??);
    (mean_of(graph, mean)? == x).then_some(Root { x, mean, epsilon })
}

/// What a value is the mean of, over the last axis, which stays.
fn mean_of(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let mut node = node_of(graph, value)?;
    if node.op.downcast_ref::<Reshape>().is_some() {
        // The axis, put in again.
        let dims = &graph.ty(value).dims;
        let inner = node.inputs.first().copied()??;
        let kept = &graph.ty(inner).dims;
        let is_unsqueezed = dims.len() == kept.len() + 1
            && dims.last() == Some(&Dim::Known(1))
            && dims[..kept.len()] == kept[..];
        node = is_unsqueezed.then(|| node_of(graph, inner)).flatten()?;
    } else if !node.op.downcast_ref::<Reduce>()?.keepdims {
        return None;
    }
    let op = node.op.downcast_ref::<Reduce>()?;
    let x = node.inputs.first().copied()??;
    let is_last = op.count == 1 && op.first + 1 == graph.ty(x).rank();
    (is_last && op.kind == ReduceKind::Mean).then_some(x)
}

/// The normalization that a value is, and its root.
fn normalization(
    graph: &Graph,
    roots: &HashMap<ValueId, Root>,
    output: ValueId,
) -> Option<(ValueId, Found)> {
    let mut near = roots.iter().filter(|(id, root)| {
        near(graph, output, **id, 6) && graph.ty(output).dims == graph.ty(root.x).dims
    });
    near.find_map(|(id, root)| Some((*id, with_root(graph, *id, root, output)?)))
}

/// The normalization with this root that a value is.
fn with_root(graph: &Graph, id: ValueId, root: &Root, output: ValueId) -> Option<Found> {
    let mut expander = Expander::new(graph);
    let (x, mean) = (expander.stop(root.x), expander.stop(root.mean));
    let inverse = inverses(graph, id, output, &mut expander)?;
    let poly = expander.expand(output);
    // The factor of x * inverse is γ, and so is that of -mean * inverse; the rest is β.
    let algebra = &mut expander.algebra;
    let atom = |algebra: &super::algebra::Algebra, poly: Poly| match algebra.sum(poly) {
        [(monomial, 1.0)] if monomial.len() == 1 => monomial.first().copied(),
        _ => None,
    };
    let (x_atom, mean_atom) = (atom(algebra, x)?, atom(algebra, mean)?);
    let inverse = atom(algebra, inverse)?;
    let (scaled, rest) = algebra.split(poly, inverse);
    let (of_x, of_mean) = algebra.split(scaled, x_atom);
    let gamma = algebra.divide(of_x, inverse)?;
    let gamma = algebra.divide(gamma, x_atom)?;
    let other = algebra.divide(of_mean, inverse)?;
    let other = algebra.divide(other, mean_atom)?;
    if algebra.scale(other, -1.0) != gamma {
        return None;
    }
    let width = graph.ty(root.x).dims.last()?.known()?;
    let row = |poly: Poly, none: f64| -> Option<Option<ValueId>> {
        if algebra.as_number(poly) == Some(none) {
            return Some(None);
        }
        let Some(Term::Value(value, _)) = algebra.as_term(poly) else { return None };
        let dims = &graph.ty(value).dims;
        let (last, lead) = dims.split_last()?;
        let is_row = last.known() == Some(width) && lead.iter().all(|dim| dim.known() == Some(1));
        is_row.then_some(Some(value))
    };
    let (gamma, beta) = (row(gamma, 1.0)?, row(rest, 0.0)?);
    Some(Found { output, x: root.x, gamma, beta, epsilon: root.epsilon as f32 })
}

/// One over the root, as it is written: the root itself where it is inverse already, or each quotient by
/// it, which is a product with that.
fn inverses(
    graph: &Graph,
    root: ValueId,
    output: ValueId,
    expander: &mut Expander<'_>,
) -> Option<Poly> {
    let kind = node_of(graph, root)?.op.downcast_ref::<Unary>()?.kind;
    let inverse = expander.stop(root);
    if kind == UnaryKind::Rsqrt {
        return Some(inverse);
    }
    // Where the root is divided by, the quotient stands for its dividend times the inverse.
    let mut open = vec![(output, 8usize)];
    let mut found = false;
    while let Some((value, depth)) = open.pop() {
        let Some(node) = node_of(graph, value).filter(|_| depth > 0) else { continue };
        let is_divided = node.op.downcast_ref::<Binary>().is_some_and(|op| {
            op.kind == BinaryKind::Divide && node.inputs.get(1).copied().flatten() == Some(root)
        });
        if is_divided {
            let dividend = expander.expand(node.inputs.first().copied()??);
            let quotient = expander.algebra.multiply(dividend, inverse)?;
            expander.set(value, quotient);
            found = true;
            continue;
        }
        if node.op.downcast_ref::<Activate>().is_none() {
            open.extend(node.inputs.iter().flatten().map(|id| (*id, depth - 1)));
        }
    }
    found.then_some(inverse)
}

/// Whether `output` is computed from `value` in few steps.
fn near(graph: &Graph, output: ValueId, value: ValueId, depth: usize) -> bool {
    output == value
        || depth > 0
            && node_of(graph, output).is_some_and(|node| {
                node.op.downcast_ref::<Binary>().is_some()
                    && node.inputs.iter().flatten().any(|id| near(graph, *id, value, depth - 1))
            })
}
