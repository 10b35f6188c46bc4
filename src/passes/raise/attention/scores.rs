//! What the weights of attention are made of: a softmax of scaled products, masked.

use super::mask::{self, Hiding, Truth};
use crate::graph::{Dim, Graph, Node, ValueId};
use crate::ops::{
    Binary, BinaryKind, MaskedRow, MatMul, Reduce, ReduceKind, Reshape, Select, Softmax, Transpose,
};
use crate::passes::raise::choice::binary;
use crate::passes::raise::expand::node_of;
use crate::passes::raise::{outside, same};

/// So many nodes may act on the scores.
const STEPS: usize = 12;
/// Scores that are replaced by a number from here on count for nothing.
const REPLACED: f64 = -1e8;
/// Beside numbers from here on, scores that they are added to are lost.
const LOST: f64 = -1e30;

/// A matrix for each of some leading axes.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// The tensor.
    pub value: ValueId,
    /// Whether its last two axes are exchanged.
    pub turned: bool,
}

/// What weights are made of.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The sizes before the last two, as the softmax has them.
    pub lead: Vec<Dim>,
    /// `[…, time, features]`.
    pub query: Matrix,
    /// `[…, features, source]`.
    pub key: Matrix,
    /// What the products are multiplied with.
    pub scale: f64,
    /// Which scores count.
    pub truth: Truth,
    /// What a query gets that sees nothing.
    pub row: MaskedRow,
}

/// How weights are kept from being NaN, or are hidden once more.
#[derive(Clone, Copy, Debug)]
enum Guard {
    None,
    /// NaN becomes 0.
    Nan,
    /// Weights count where this holds.
    Condition(ValueId),
    /// Rows count whose largest number in this mask is not -∞.
    Largest(ValueId),
}

/// What acts on the scores before the softmax.
#[derive(Debug)]
struct Chain {
    scale: f64,
    is_scaled: bool,
    mask: Option<Masking>,
}

/// What hides scores.
#[derive(Clone, Debug)]
struct Masking {
    hiding: Hiding,
    /// The value that does, if it is one.
    value: Option<ValueId>,
    /// Whether it is added to the scores rather than put in their place.
    is_added: bool,
}

/// Reads weights; `None` if they are no softmax.
pub fn weights(graph: &Graph, value: ValueId) -> Option<Result<Weights, String>> {
    let value = unreshaped(graph, value)?;
    let (value, guard) = unguarded(graph, value);
    let node = node_of(graph, value)?;
    let op = node.op.downcast_ref::<Softmax>()?;
    let dims = &graph.ty(value).dims;
    if op.log || op.axis + 1 != dims.len() || !(2..=4).contains(&dims.len()) {
        return None;
    }
    let scores = node.inputs.first().copied()??;
    Some(read(graph, scores, guard, dims[..dims.len() - 2].to_vec()))
}

fn read(graph: &Graph, scores: ValueId, guard: Guard, lead: Vec<Dim>) -> Result<Weights, String> {
    let rank = lead.len() + 2;
    let mut chain = Chain { scale: 1.0, is_scaled: false, mask: None };
    let mut id = scores;
    for _ in 0..STEPS {
        id = unreshaped(graph, id).ok_or("its scores are another matrix before")?;
        let node = node_of(graph, id).ok_or("its scores are given")?;
        if let Some((query, key)) = product(graph, node) {
            let (query, by_query) = scaled(graph, query);
            let (key, by_key) = scaled(graph, key);
            let scale = chain.scale * by_query * by_key;
            if !scale.is_finite() {
                return Err(format!("its scores are scaled by {scale}"));
            }
            let (truth, row) = masked(chain.mask, guard, graph)?;
            return Ok(Weights { lead, query, key, scale, truth, row });
        }
        let before = chain.step(graph, node, rank)?;
        if !same(&graph.ty(before).dims, &graph.ty(id).dims) {
            return Err(format!("`{}` repeats its scores", node.name));
        }
        id = before;
    }
    Err("too much acts on its scores".to_owned())
}

impl Chain {
    /// Takes in what one node does; gives the scores before it.
    fn step(&mut self, graph: &Graph, node: &Node, rank: usize) -> Result<ValueId, String> {
        let other = || format!("`{}` acts on its scores", node.name);
        if node.op.downcast_ref::<Select>().is_some() {
            let &[Some(condition), Some(on), Some(off)] = &node.inputs[..] else {
                return Err(other());
            };
            let truth = Truth::given(graph, condition);
            let (scores, truth, far) =
                match (outside::number(graph, on), outside::number(graph, off)) {
                    (None, Some(far)) => (on, truth, far),
                    (Some(far), None) => (off, Truth::Not(Box::new(truth)), far),
                    _ => return Err("its scores are a choice between two tensors".to_owned()),
                };
            let masking =
                Masking { hiding: Hiding { truth, far }, value: Some(condition), is_added: false };
            self.hide(graph, masking, scores, rank)?;
            return Ok(scores);
        }
        let (Some(kind), &[Some(a), Some(b)]) =
            (node.op.downcast_ref::<Binary>().map(|op| op.kind), &node.inputs[..])
        else {
            return Err(other());
        };
        match (kind, outside::number(graph, a), outside::number(graph, b)) {
            (BinaryKind::Multiply, None, Some(number)) => Ok(self.times(number, a)),
            (BinaryKind::Multiply, Some(number), None) => Ok(self.times(number, b)),
            (BinaryKind::Divide, None, Some(number)) if number != 0.0 => {
                Ok(self.times(1.0 / number, a))
            }
            // What is added after the scale alone is added to the scores as they are.
            (BinaryKind::Add, _, _) if !self.is_scaled => {
                let (scores, given, hiding) = match mask::hiding(graph, b) {
                    Ok(hiding) => (a, b, hiding),
                    Err(reason) => (b, a, mask::hiding(graph, a).map_err(|_| reason)?),
                };
                let masking = Masking { hiding, value: Some(given), is_added: true };
                self.hide(graph, masking, scores, rank)?;
                Ok(scores)
            }
            _ => Err(other()),
        }
    }

    /// Takes in a factor of the scores, which are `before` without it.
    fn times(&mut self, factor: f64, before: ValueId) -> ValueId {
        (self.scale, self.is_scaled) = (self.scale * factor, true);
        before
    }

    fn hide(
        &mut self,
        graph: &Graph,
        mask: Masking,
        scores: ValueId,
        rank: usize,
    ) -> Result<(), String> {
        if self.is_scaled {
            return Err("its masked scores are scaled".to_owned());
        }
        // Batch and heads, which reshapes split and join, count in masks of more than two axes.
        let axes = mask.value.map_or(0, |value| graph.ty(value).rank());
        if axes > 2 && graph.ty(scores).rank() != rank {
            return Err(
                "its mask counts batch and heads in another way than its softmax".to_owned()
            );
        }
        self.mask = Some(match self.mask.take() {
            None => mask,
            Some(before) if before.is_added == mask.is_added => Masking {
                hiding: mask::both(before.hiding, mask.hiding)?,
                value: None,
                is_added: mask.is_added,
            },
            Some(_) => return Err("several masks act on its scores".to_owned()),
        });
        Ok(())
    }
}

/// Which scores count, and what a query gets that sees nothing.
fn masked(
    mask: Option<Masking>,
    guard: Guard,
    graph: &Graph,
) -> Result<(Truth, MaskedRow), String> {
    let Some(Masking { hiding: Hiding { truth, far }, value, is_added }) =
        mask.filter(|mask| mask.hiding.truth != Truth::All)
    else {
        return match guard {
            Guard::None | Guard::Nan => Ok((Truth::All, MaskedRow::Uniform)),
            _ => Err("its weights are masked, its scores are not".to_owned()),
        };
    };
    let row = match far {
        f64::NEG_INFINITY => MaskedRow::Nan,
        far if far == -f64::from(seqfuse_kernels::attention::LOWERED_BY) && is_added => {
            MaskedRow::Lowered
        }
        far if far <= LOST || (!is_added && far <= REPLACED) => MaskedRow::Uniform,
        far => return Err(format!("its mask lowers scores by {far}, which does not hide them")),
    };
    let row = match guard {
        Guard::None => row,
        Guard::Nan if row == MaskedRow::Nan => MaskedRow::Zero,
        Guard::Nan => row,
        Guard::Largest(other) if Some(other) == value && row == MaskedRow::Nan => MaskedRow::Zero,
        Guard::Condition(other) if Truth::given(graph, other) == truth => MaskedRow::Zero,
        _ => return Err("its weights are masked in another way than its scores".to_owned()),
    };
    Ok((truth, row))
}

/// The value before reshapes that leave the last two axes as they are.
fn unreshaped(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let mut id = value;
    while let Some(node) = node_of(graph, id)
        && node.op.downcast_ref::<Reshape>().is_some()
    {
        id = node.inputs.first().copied()??;
    }
    let last = |id: ValueId| {
        let dims = &graph.ty(id).dims;
        dims.len().checked_sub(2).map(|first| dims[first..].to_vec())
    };
    same(&last(id)?, &last(value)?).then_some(id)
}

/// Weights before a last choice between them and 0.
fn unguarded(graph: &Graph, value: ValueId) -> (ValueId, Guard) {
    let alone = (value, Guard::None);
    let Some(node) = node_of(graph, value) else { return alone };
    if node.op.downcast_ref::<Select>().is_none() {
        return alone;
    }
    let &[Some(condition), Some(on), Some(off)] = &node.inputs[..] else { return alone };
    if outside::number(graph, off) == Some(0.0) {
        return (on, Guard::Condition(condition));
    }
    if outside::number(graph, on) != Some(0.0) {
        return alone;
    }
    let same = binary(graph, condition, BinaryKind::NotEqual);
    if same.is_some_and(|node| node.inputs.iter().all(|input| *input == Some(off))) {
        return (off, Guard::Nan);
    }
    match largest(graph, condition) {
        Some(mask) => (off, Guard::Largest(mask)),
        None => alone,
    }
}

/// The mask whose rows a condition compares with -∞.
fn largest(graph: &Graph, condition: ValueId) -> Option<ValueId> {
    let node = binary(graph, condition, BinaryKind::Equal)?;
    let &[Some(largest), Some(far)] = &node.inputs[..] else { return None };
    if outside::number(graph, far) != Some(f64::NEG_INFINITY) {
        return None;
    }
    let node = node_of(graph, largest)?;
    let op = node.op.downcast_ref::<Reduce>()?;
    let mask = node.inputs.first().copied()??;
    let is_of_rows = op.kind == ReduceKind::Max
        && op.keepdims
        && op.count == 1
        && op.first + 1 == graph.ty(mask).rank();
    is_of_rows.then_some(mask)
}

/// The factors of a matrix product, of one that is turned too.
fn product(graph: &Graph, node: &Node) -> Option<(Matrix, Matrix)> {
    let plain = |value: ValueId| Matrix { value, turned: false };
    if node.op.downcast_ref::<MatMul>().is_some() {
        let &[Some(a), Some(b)] = &node.inputs[..] else { return None };
        return Some((plain(a), plain(b)));
    }
    let permutation = &node.op.downcast_ref::<Transpose>()?.permutation;
    let matrix = permutation.len().checked_sub(2)?;
    let is_turned = permutation[..matrix].iter().copied().eq(0..matrix)
        && permutation[matrix..] == [matrix + 1, matrix];
    let inner = node_of(graph, node.inputs.first().copied()??)?;
    inner.op.downcast_ref::<MatMul>().filter(|_| is_turned)?;
    let &[Some(a), Some(b)] = &inner.inputs[..] else { return None };
    Some((Matrix { value: b, turned: true }, Matrix { value: a, turned: true }))
}

/// A matrix without the number that it is multiplied with.
fn scaled(graph: &Graph, matrix: Matrix) -> (Matrix, f64) {
    let alone = (matrix, 1.0);
    let Some(node) = node_of(graph, matrix.value) else { return alone };
    let Some(kind) = node.op.downcast_ref::<Binary>().map(|op| op.kind) else { return alone };
    let &[Some(a), Some(b)] = &node.inputs[..] else { return alone };
    // The number does not repeat it.
    let is_same = |other: ValueId| graph.ty(other).dims == graph.ty(matrix.value).dims;
    let with = |value: ValueId| Matrix { value, ..matrix };
    match (kind, outside::number(graph, a), outside::number(graph, b)) {
        (BinaryKind::Multiply, None, Some(number)) if is_same(a) => (with(a), number),
        (BinaryKind::Multiply, Some(number), None) if is_same(b) => (with(b), number),
        (BinaryKind::Divide, None, Some(number)) if is_same(a) && number != 0.0 => {
            (with(a), 1.0 / number)
        }
        _ => alone,
    }
}
