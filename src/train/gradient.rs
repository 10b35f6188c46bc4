//! Gradients of parameters, and how Keras clips them.
//!
//! The gradient of a table that is read by id alone is, in Keras on TensorFlow, a list of rows that
//! is added up only where it meets a variable. What is taken of it before (norms, squares, limits)
//! is of each row by itself, even where several rows are of one id. It shows in every figure of a
//! training with an Embedding, so it is followed.

use super::optimizer::Clip;
use crate::graph::{Graph, GraphError, Operator, Source, Tensor, ValueId};
use crate::ops::{
    Binary, BinaryKind, EmbeddingGradient, Optimizer, Reduce, ReduceKind, Unary, UnaryKind,
};

/// The gradient of one parameter.
#[derive(Clone, Debug)]
pub(super) struct Gradient {
    /// The gradient, of the parameter's shape.
    pub value: ValueId,
    /// The rows that it is the sum of; none where it is not such a list.
    rows: Vec<Rows>,
}

/// Rows of a list: ids, the table (for its shape) and the rows' gradients.
#[derive(Clone, Copy, Debug)]
struct Rows {
    ids: ValueId,
    table: ValueId,
    values: ValueId,
}

impl Gradient {
    /// The gradient `value`, and the rows that it is made of.
    pub fn new(graph: &Graph, value: ValueId) -> Gradient {
        let mut rows = Vec::new();
        let is_list = collect(graph, value, &mut rows);
        Gradient { value, rows: if is_list { rows } else { Vec::new() } }
    }

    /// A gradient that is no list of rows.
    pub fn dense(value: ValueId) -> Gradient {
        Gradient { value, rows: Vec::new() }
    }

    /// What `change` makes of each element, or of each element of the rows.
    fn map(
        &self,
        graph: &mut Graph,
        mut change: impl FnMut(&mut Graph, ValueId) -> Result<ValueId, GraphError>,
    ) -> Result<Gradient, GraphError> {
        if self.rows.is_empty() {
            return Ok(Gradient::dense(change(graph, self.value)?));
        }
        let mut rows = self.rows.clone();
        let mut total: Option<ValueId> = None;
        for row in &mut rows {
            row.values = change(graph, row.values)?;
            let sum = add(graph, EmbeddingGradient, &[row.ids, row.table, row.values])?;
            total = Some(match total {
                Some(earlier) => binary(graph, BinaryKind::Add, earlier, sum)?,
                None => sum,
            });
        }
        Ok(Gradient { value: total.unwrap_or(self.value), rows })
    }

    /// The gradient times a scalar, or divided by it.
    ///
    /// # Errors
    /// If a node is refused, which would be a fault of ours.
    fn scale(
        &self,
        graph: &mut Graph,
        kind: BinaryKind,
        by: ValueId,
    ) -> Result<Gradient, GraphError> {
        self.map(graph, |graph, x| binary(graph, kind, x, by))
    }

    /// The gradient, added up if it is a list of rows, times a scalar or divided by it: what a
    /// product that Python spells with its operator makes of such a list.
    ///
    /// # Errors
    /// If a node is refused, which would be a fault of ours.
    pub fn summed(
        &self,
        graph: &mut Graph,
        kind: BinaryKind,
        by: ValueId,
    ) -> Result<Gradient, GraphError> {
        Ok(Gradient::dense(binary(graph, kind, self.value, by)?))
    }

    /// The squares of the rows of a list, added up, or what else `optimizer` takes of them; none
    /// where the gradient is no list or the optimizer takes nothing.
    ///
    /// # Errors
    /// If a node is refused, which would be a fault of ours.
    pub fn sizes(
        &self,
        graph: &mut Graph,
        optimizer: &Optimizer,
    ) -> Result<Option<ValueId>, GraphError> {
        let kind = match optimizer {
            Optimizer::Sgd(_) | Optimizer::Lion(_) => return Ok(None),
            Optimizer::Adamax(_) => UnaryKind::Absolute,
            _ => UnaryKind::Square,
        };
        if self.rows.is_empty() {
            return Ok(None);
        }
        let sizes = self.map(graph, |graph, x| add(graph, Unary { kind }, &[x]))?;
        Ok(Some(sizes.value))
    }

    /// The sum of all squares.
    fn sum_of_squares(&self, graph: &mut Graph) -> Result<ValueId, GraphError> {
        let parts: Vec<ValueId> = match self.rows.is_empty() {
            true => vec![self.value],
            false => self.rows.iter().map(|row| row.values).collect(),
        };
        let mut total = None;
        for part in parts {
            let squares = add(graph, Unary { kind: UnaryKind::Square }, &[part])?;
            let count = graph.ty(squares).rank();
            let reduce = Reduce { kind: ReduceKind::Sum, first: 0, count, keepdims: false };
            let sum = if count == 0 { squares } else { add(graph, reduce, &[squares])? };
            total = Some(match total {
                Some(earlier) => binary(graph, BinaryKind::Add, earlier, sum)?,
                None => sum,
            });
        }
        Ok(total.unwrap_or(self.value))
    }
}

/// Collects the rows behind a sum; whether it is nothing but a sum of rows.
fn collect(graph: &Graph, value: ValueId, rows: &mut Vec<Rows>) -> bool {
    let Source::Node { node, output: 0 } = graph.value(value).source else { return false };
    let node = graph.node(node);
    if node.op.downcast_ref::<EmbeddingGradient>().is_some()
        && let [Some(ids), Some(table), Some(values)] = node.inputs[..]
    {
        rows.push(Rows { ids, table, values });
        return true;
    }
    let is_sum = node.op.downcast_ref::<Binary>().is_some_and(|op| op.kind == BinaryKind::Add);
    match node.inputs[..] {
        [Some(a), Some(b)] if is_sum => collect(graph, a, rows) && collect(graph, b, rows),
        _ => false,
    }
}

fn add(graph: &mut Graph, op: impl Operator, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
    graph.add_one("train/gradient", op, inputs)
}

fn binary(
    graph: &mut Graph,
    kind: BinaryKind,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, GraphError> {
    add(graph, Binary { kind }, &[a, b])
}

fn scalar(graph: &mut Graph, value: f32) -> ValueId {
    graph.constant(Tensor::scalar(value))
}

/// Clips gradients.
///
/// # Errors
/// If a node is refused, which would be a fault of ours.
pub(super) fn clip(
    graph: &mut Graph,
    clip: Option<Clip>,
    gradients: &mut [Option<Gradient>],
) -> Result<(), GraphError> {
    match clip {
        None => Ok(()),
        Some(Clip::Value(limit)) => {
            let (low, high) = (scalar(graph, -limit as f32), scalar(graph, limit as f32));
            for gradient in gradients.iter_mut().flatten() {
                *gradient = gradient.map(graph, |graph, x| {
                    let cut = binary(graph, BinaryKind::Maximum, x, low)?;
                    binary(graph, BinaryKind::Minimum, cut, high)
                })?;
            }
            Ok(())
        }
        Some(Clip::Norm(limit)) => {
            let limit = scalar(graph, limit as f32);
            for gradient in gradients.iter_mut().flatten() {
                let squares = gradient.sum_of_squares(graph)?;
                let norm = add(graph, Unary { kind: UnaryKind::Sqrt }, &[squares])?;
                let larger = binary(graph, BinaryKind::Maximum, norm, limit)?;
                let scaled = gradient.scale(graph, BinaryKind::Multiply, limit)?;
                *gradient = scaled.scale(graph, BinaryKind::Divide, larger)?;
            }
            Ok(())
        }
        Some(Clip::GlobalNorm(limit)) => clip_together(graph, limit as f32, gradients),
    }
}

/// Scales all gradients so that their common norm is at most `limit`.
fn clip_together(
    graph: &mut Graph,
    limit: f32,
    gradients: &mut [Option<Gradient>],
) -> Result<(), GraphError> {
    let mut total = None;
    for gradient in gradients.iter().flatten() {
        let squares = gradient.sum_of_squares(graph)?;
        total = Some(match total {
            Some(earlier) => binary(graph, BinaryKind::Add, earlier, squares)?,
            None => squares,
        });
    }
    let Some(total) = total else { return Ok(()) };
    let norm = add(graph, Unary { kind: UnaryKind::Sqrt }, &[total])?;
    let (one, inverse_limit) = (scalar(graph, 1.0), scalar(graph, 1.0 / limit));
    let limit = scalar(graph, limit);
    let inverse = binary(graph, BinaryKind::Divide, one, norm)?;
    let smaller = binary(graph, BinaryKind::Minimum, inverse, inverse_limit)?;
    let scale = binary(graph, BinaryKind::Multiply, limit, smaller)?;
    for gradient in gradients.iter_mut().flatten() {
        *gradient = gradient.summed(graph, BinaryKind::Multiply, scale)?;
    }
    Ok(())
}
