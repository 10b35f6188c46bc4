//! Moves transposes behind the nodes that take their results, so that two of them meet and cancel.
//!
//! Exported graphs turn axes around every convolution and recurrent layer, and back: between two of
//! them stand elementwise nodes and reshapes, which work in any order of axes.

use crate::graph::{Dim, Edit, Graph, GraphError, Node, Source, ValueId};
use crate::ops::{Activate, Binary, Cast, LayerNorm, MatMul, Reshape, Softmax, Transpose, Unary};

/// The Graph with transposes moved as far behind as they go, where fewer of them are left then.
///
/// # Errors
/// If the result is not valid.
pub fn cancel_transposes(graph: &Graph) -> Result<Graph, GraphError> {
    if count(graph) < 2 {
        return Ok(graph.clone());
    }
    let moved = graph.rewrite(|new, node, inputs| {
        let moved = Move { graph: new, node, inputs }.apply()?;
        Ok(moved.map_or(Edit::Keep, |value| Edit::Replace(vec![value])))
    })?;
    let moved = super::remove_dead(&moved)?;
    Ok(if count(&moved) < count(graph) { moved } else { graph.clone() })
}

/// The transposes of values that a run computes.
fn count(graph: &Graph) -> usize {
    let is_one = |node: &&Node| node.op.downcast_ref::<Transpose>().is_some();
    let of_data = |node: &&Node| node.inputs.iter().flatten().any(|input| !is_fixed(graph, *input));
    graph.nodes().iter().filter(is_one).filter(of_data).count()
}

/// Whether a value is made of constants and Variables alone, by a few nodes.
fn is_fixed(graph: &Graph, value: ValueId) -> bool {
    let mut open = vec![value];
    let mut left = 32;
    while let Some(id) = open.pop() {
        match graph.value(id).source {
            Source::Input(_) => return false,
            Source::Constant(_) | Source::Variable(_) => {}
            Source::Node { node, .. } => open.extend(graph.node(node).inputs.iter().flatten()),
        }
        left -= 1;
        if left == 0 {
            return false;
        }
    }
    true
}

/// A node, and the new Graph that it goes to.
struct Move<'a> {
    graph: &'a mut Graph,
    node: &'a Node,
    inputs: &'a [Option<ValueId>],
}

impl Move<'_> {
    /// What stands for the node's only output, if a transpose is moved behind it.
    fn apply(mut self) -> Result<Option<ValueId>, GraphError> {
        let Some(&Some(x)) = self.inputs.first() else { return Ok(None) };
        let op = &self.node.op;
        if let Some(transpose) = op.downcast_ref::<Transpose>() {
            return self.joined(x, transpose);
        }
        if let Some(reshape) = op.downcast_ref::<Reshape>() {
            return self.reshaped(x, reshape);
        }
        if op.downcast_ref::<Binary>().is_some() {
            return self.binary();
        }
        let Some((turned, permutation)) = self.behind_transpose(x) else { return Ok(None) };
        let rank = permutation.len();
        // Where the last axes stay the last, in order.
        let keeps = |axes: usize| axes <= rank && (rank - axes..rank).all(|a| permutation[a] == a);
        if let Some(activate) = op.downcast_ref::<Activate>() {
            let works = activate.activation.is_elementwise()
                || (keeps(1) && activate.activation.output_width(2) == 2);
            return if works { self.unary(turned, permutation) } else { Ok(None) };
        }
        if op.downcast_ref::<Unary>().is_some() || op.downcast_ref::<Cast>().is_some() {
            return self.unary(turned, permutation);
        }
        if let Some(norm) = op.downcast_ref::<LayerNorm>() {
            return if keeps(norm.axes) { self.unary(turned, permutation) } else { Ok(None) };
        }
        if let Some(softmax) = op.downcast_ref::<Softmax>() {
            let Some(&axis) = permutation.get(softmax.axis) else { return Ok(None) };
            let softmax = Softmax { axis, log: softmax.log };
            let y = self.graph.add_one(&self.node.name, softmax, &[turned])?;
            return self.turn(y, permutation).map(Some);
        }
        let weights = self.inputs.get(1).copied().flatten();
        let is_plain = weights.is_some_and(|weights| self.graph.ty(weights).rank() == 2);
        if op.downcast_ref::<MatMul>().is_some() && keeps(1) && is_plain {
            return self.unary(turned, permutation);
        }
        Ok(None)
    }

    /// The input and the permutation of the transpose that gives `x`.
    fn behind_transpose(&self, x: ValueId) -> Option<(ValueId, Vec<usize>)> {
        let Source::Node { node, .. } = self.graph.value(x).source else { return None };
        let node = self.graph.node(node);
        let transpose = node.op.downcast_ref::<Transpose>()?;
        let input = node.inputs.first().copied().flatten()?;
        (!is_fixed(self.graph, input)).then(|| (input, transpose.permutation.clone()))
    }

    /// `x` turned, or itself where that changes nothing.
    fn turn(&mut self, x: ValueId, permutation: Vec<usize>) -> Result<ValueId, GraphError> {
        if permutation.iter().copied().eq(0..permutation.len()) {
            return Ok(x);
        }
        self.graph.add_one(&self.node.name, Transpose { permutation }, &[x])
    }

    /// Two transposes in one.
    fn joined(&mut self, x: ValueId, second: &Transpose) -> Result<Option<ValueId>, GraphError> {
        let Some((turned, first)) = self.behind_transpose(x) else { return Ok(None) };
        let both = second.permutation.iter().map(|&axis| first.get(axis).copied());
        let Some(both) = both.collect::<Option<Vec<usize>>>() else { return Ok(None) };
        self.turn(turned, both).map(Some)
    }

    /// The node on what is behind the transpose of its first input, then the transpose.
    fn unary(
        &mut self,
        turned: ValueId,
        permutation: Vec<usize>,
    ) -> Result<Option<ValueId>, GraphError> {
        let mut inputs = self.inputs.to_vec();
        if let Some(first) = inputs.first_mut() {
            *first = Some(turned);
        }
        let outputs = self.graph.add_node(&self.node.name, self.node.op.clone(), inputs)?;
        let [y] = outputs[..] else { return Ok(None) };
        self.turn(y, permutation).map(Some)
    }

    /// The same for two inputs: both turned alike, or one of them fixed.
    fn binary(&mut self) -> Result<Option<ValueId>, GraphError> {
        let &[Some(a), Some(b)] = self.inputs else { return Ok(None) };
        let found = [a, b].map(|value| self.behind_transpose(value));
        let (sides, permutation) = match found {
            [Some((a, first)), Some((b, second))] if first == second => ([a, b], first),
            [Some((a, first)), None] => match self.turned_back(b, &first)? {
                Some(b) => ([a, b], first),
                None => return Ok(None),
            },
            [None, Some((b, second))] => match self.turned_back(a, &second)? {
                Some(a) => ([a, b], second),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let outputs =
            self.graph.add_node(&self.node.name, self.node.op.clone(), sides.map(Some).to_vec())?;
        match outputs[..] {
            [y] if self.graph.ty(y).rank() == permutation.len() => {
                self.turn(y, permutation).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A fixed value, or one without axes to speak of, that broadcasts with what `permutation` turns, as
    /// it broadcasts with what that turns.
    fn turned_back(
        &mut self,
        x: ValueId,
        permutation: &[usize],
    ) -> Result<Option<ValueId>, GraphError> {
        let dims = self.graph.ty(x).dims.clone();
        if dims.iter().all(|dim| dim.known() == Some(1)) && dims.len() <= permutation.len() {
            return match dims.is_empty() {
                true => Ok(Some(x)),
                false => {
                    self.graph.add_one(&self.node.name, Reshape::to(Vec::new()), &[x]).map(Some)
                }
            };
        }
        if dims.len() > permutation.len() || !is_fixed(self.graph, x) {
            return Ok(None);
        }
        let mut full = vec![Dim::Known(1); permutation.len() - dims.len()];
        full.extend(dims);
        let x = self.graph.add_one(&self.node.name, Reshape::to(full), &[x])?;
        let mut back = vec![0; permutation.len()];
        for (to, &from) in permutation.iter().enumerate() {
            if let Some(slot) = back.get_mut(from) {
                *slot = to;
            }
        }
        self.turn(x, back).map(Some)
    }

    /// A reshape of a reshape is one of what is behind; one of a transpose that moves groups of axes as
    /// wholes is a transpose of a reshape.
    fn reshaped(&mut self, x: ValueId, reshape: &Reshape) -> Result<Option<ValueId>, GraphError> {
        if let Source::Node { node, .. } = self.graph.value(x).source
            && self.graph.node(node).op.downcast_ref::<Reshape>().is_some()
            && let Some(&Some(behind)) = self.graph.node(node).inputs.first()
        {
            if self.graph.ty(behind).dims == reshape.dims {
                return Ok(Some(behind));
            }
            return self.graph.add_one(&self.node.name, reshape.clone(), &[behind]).map(Some);
        }
        let Some((turned, permutation)) = self.behind_transpose(x) else { return Ok(None) };
        let from = self.graph.ty(x).dims.clone();
        let Some(groups) = groups(&from, &reshape.dims) else { return Ok(None) };
        let Some((order, axes)) = reordered(&groups, &permutation) else { return Ok(None) };
        let dims: Vec<Dim> = order.iter().map(|&axis| reshape.dims[axis].clone()).collect();
        let inferred =
            reshape.inferred.and_then(|axis| order.iter().position(|&other| other == axis));
        let y = match self.graph.ty(turned).dims == dims {
            true => turned,
            false => self.graph.add_one(&self.node.name, Reshape { dims, inferred }, &[turned])?,
        };
        self.turn(y, axes).map(Some)
    }
}

/// Axes of one shape that hold the same elements as axes of another: `from..` and `to..`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    from: std::ops::Range<usize>,
    to: std::ops::Range<usize>,
}

/// Two shapes of as many elements cut into groups, as small as they can be told.
fn groups(from: &[Dim], to: &[Dim]) -> Option<Vec<Group>> {
    let mut found = Vec::new();
    let (mut i, mut j) = (0, 0);
    let is_one = |dim: Option<&Dim>| dim.and_then(Dim::known) == Some(1);
    while i < from.len() || j < to.len() {
        let (first, second) = (i, j);
        if i < from.len() && from.get(i) == to.get(j) {
            (i, j) = (i + 1, j + 1);
        } else if is_one(from.get(i)) {
            i += 1;
        } else if is_one(to.get(j)) {
            j += 1;
        } else {
            // Numbers alone can be told to have one product.
            let (mut left, mut right) = (from.get(i)?.known()?, to.get(j)?.known()?);
            (i, j) = (i + 1, j + 1);
            while left != right {
                if left < right {
                    left = left.checked_mul(from.get(i)?.known()?)?;
                    i += 1;
                } else {
                    right = right.checked_mul(to.get(j)?.known()?)?;
                    j += 1;
                }
                if left == 0 || right == 0 {
                    return None;
                }
            }
        }
        found.push(Group { from: first..i, to: second..j });
    }
    Some(found)
}

/// For groups of a turned shape: the axes `to` in the order that they have before `permutation`, and the
/// permutation that brings them back. `None` where a group is torn apart.
fn reordered(groups: &[Group], permutation: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
    let mut placed: Vec<(usize, std::ops::Range<usize>)> = Vec::with_capacity(groups.len());
    let mut last = 0;
    for group in groups {
        let axes = permutation.get(group.from.clone())?;
        if axes.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            return None;
        }
        // New axes of size 1 stay with those before them.
        last = axes.first().copied().unwrap_or(last);
        placed.push((last, group.to.clone()));
    }
    placed.sort_by_key(|(place, _)| *place);
    let order: Vec<usize> = placed.into_iter().flat_map(|(_, axes)| axes).collect();
    let mut back = vec![0; order.len()];
    for (place, &axis) in order.iter().enumerate() {
        *back.get_mut(axis)? = place;
    }
    Some((order, back))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, TensorType};
    use crate::ops::{Activation, BinaryKind};

    fn graph(dims: &[&str]) -> (Graph, ValueId) {
        let mut graph = Graph::new("transposes");
        let dims: Vec<Dim> = dims
            .iter()
            .map(|dim| dim.parse().map_or_else(|_| Dim::symbol(dim), Dim::Known))
            .collect();
        let x = graph.add_input("x", TensorType::new(DType::F32, dims)).expect("the only one");
        (graph, x)
    }

    fn turn(graph: &mut Graph, x: ValueId, permutation: &[usize]) -> ValueId {
        let permutation = permutation.to_vec();
        graph.add_one("turn", Transpose { permutation }, &[x]).expect("a permutation")
    }

    fn left(mut graph: Graph, y: ValueId) -> Vec<&'static str> {
        let ty = graph.ty(y).clone();
        graph.add_output("y", y).expect("the only one");
        let graph = cancel_transposes(&graph).expect("it is valid");
        assert_eq!(*graph.ty(graph.outputs()[0].value), ty);
        graph.nodes().iter().map(|node| node.op.name()).collect()
    }

    #[test]
    fn two_around_elementwise_nodes_cancel() {
        let (mut graph, x) = graph(&["batch", "time", "3"]);
        let turned = turn(&mut graph, x, &[0, 2, 1]);
        let relu = Activate { activation: Activation::Relu };
        let bent = graph.add_one("relu", relu, &[turned]).expect("numbers");
        let factor = crate::graph::Tensor::zeros(DType::F32, [3, 1]);
        let factor = graph.constant(factor);
        let product = Binary { kind: BinaryKind::Multiply };
        let bent = graph.add_one("product", product, &[bent, factor]).expect("sizes that fit");
        let y = turn(&mut graph, bent, &[0, 2, 1]);
        assert_eq!(left(graph, y), ["activate", "reshape", "transpose", "multiply"]);
    }

    #[test]
    fn the_directions_of_a_recurrent_layer_join_without_a_transpose() {
        let (mut graph, x) = graph(&["batch", "time", "2", "5"]);
        let y = turn(&mut graph, x, &[1, 2, 0, 3]);
        let y = turn(&mut graph, y, &[0, 2, 1, 3]);
        let dims = [Dim::symbol("time"), Dim::symbol("batch"), Dim::Known(10)];
        let y = graph.add_one("join", Reshape::to(dims), &[y]).expect("as many elements");
        let y = turn(&mut graph, y, &[1, 0, 2]);
        assert_eq!(left(graph, y), ["reshape"]);
    }

    #[test]
    fn an_axis_of_size_1_goes_without_a_transpose() {
        let (mut graph, x) = graph(&["batch", "time", "1", "5"]);
        let y = turn(&mut graph, x, &[1, 2, 0, 3]);
        let dims = [Dim::symbol("time"), Dim::symbol("batch"), Dim::Known(5)];
        let y = graph.add_one("squeeze", Reshape::to(dims), &[y]).expect("as many elements");
        let y = turn(&mut graph, y, &[1, 0, 2]);
        assert_eq!(left(graph, y), ["reshape"]);
    }

    #[test]
    fn reshapes_that_undo_each_other_part_no_transposes() {
        let (mut graph, x) = graph(&["batch", "4", "3"]);
        let turned = turn(&mut graph, x, &[0, 2, 1]);
        let flat = [Dim::symbol("batch"), Dim::Known(12)];
        let flat = graph.add_one("flat", Reshape::to(flat), &[turned]).expect("as many elements");
        let again = [Dim::symbol("batch"), Dim::Known(3), Dim::Known(4)];
        let again = graph.add_one("again", Reshape::to(again), &[flat]).expect("as many elements");
        let other = turn(&mut graph, again, &[2, 0, 1]);
        let tanh = Activate { activation: Activation::Tanh };
        let y = graph.add_one("tanh", tanh, &[other]).expect("numbers");
        let y = turn(&mut graph, y, &[1, 0, 2]);
        assert_eq!(left(graph, y), ["activate"]);
    }

    #[test]
    fn a_group_of_axes_that_is_torn_apart_stays_behind_its_transpose() {
        let (mut graph, x) = graph(&["batch", "4", "3"]);
        let turned = turn(&mut graph, x, &[0, 2, 1]);
        let flat = [Dim::symbol("batch"), Dim::Known(12)];
        let flat = graph.add_one("flat", Reshape::to(flat), &[turned]).expect("as many elements");
        let y = turn(&mut graph, flat, &[1, 0]);
        assert_eq!(left(graph, y), ["transpose", "reshape", "transpose"]);
    }
}
