//! Whether what is computed from the rows of a batch treats each row apart.

use std::collections::HashSet;

use crate::graph::{Dim, Graph, Node, ValueId};
use crate::ops::{Binary, Cumsum, LayerNorm, MatMul, Reshape, Reverse, Select, Softmax, Take};

/// The first node from `first` on that may let a row of one of `inputs` see another row.
///
/// Every value that comes of the inputs must keep the rows as its first axis, or a run of parts for
/// each row, and nothing may run along that axis.
pub fn mixing<'a>(graph: &'a Graph, inputs: &[ValueId], first: usize) -> Option<&'a Node> {
    let rows = inputs.first().and_then(|&input| graph.ty(input).dims.first())?;
    let mut of_rows: HashSet<ValueId> = inputs.iter().copied().collect();
    graph.nodes().iter().skip(first).find(|node| {
        let used: Vec<ValueId> =
            node.inputs.iter().flatten().copied().filter(|value| of_rows.contains(value)).collect();
        if used.is_empty() {
            return false;
        }
        of_rows.extend(&node.outputs);
        !keeps_rows(graph, node, &used, rows) || runs_along_rows(graph, node, &used)
    })
}

/// Whether the first axis of a node's outputs is still that of the values in `used`.
fn keeps_rows(graph: &Graph, node: &Node, used: &[ValueId], rows: &Dim) -> bool {
    let lead = |value: ValueId| graph.ty(value).dims.first();
    let merges = node.op.downcast_ref::<Reshape>().is_some();
    node.outputs.iter().all(|&output| {
        let Some(found) = lead(output) else { return false };
        let same = used.iter().any(|&value| lead(value) == Some(found));
        same || merges
            && (found == rows || used.iter().any(|&value| is_merged(graph, value, found)))
    })
}

/// Whether `size` is that of the first axes of a value as one.
fn is_merged(graph: &Graph, value: ValueId, size: &Dim) -> bool {
    let mut product = Dim::Known(1);
    graph.ty(value).dims.iter().any(|dim| {
        product = product.clone() * dim.clone();
        product == *size
    })
}

/// Whether an operator that keeps the first axis works along it.
fn runs_along_rows(graph: &Graph, node: &Node, used: &[ValueId]) -> bool {
    let rank = |value: ValueId| graph.ty(value).rank();
    let op = &node.op;
    // Broadcasting lays the rows of a value of lower rank along another axis.
    let broadcasts = op.downcast_ref::<Binary>().is_some()
        || op.downcast_ref::<Select>().is_some()
        || op.downcast_ref::<MatMul>().is_some();
    let laid_elsewhere = node.outputs.iter().any(|&output| {
        broadcasts && rank(output) > 0 && used.iter().any(|&value| rank(value) != rank(output))
    });
    laid_elsewhere
        || op.downcast_ref::<Reverse>().is_some_and(|op| op.axis == 0)
        || op.downcast_ref::<Cumsum>().is_some_and(|op| op.axis == 0)
        || op.downcast_ref::<Softmax>().is_some_and(|op| op.axis == 0)
        || op.downcast_ref::<LayerNorm>().is_some_and(|op| {
            node.inputs.first().copied().flatten().is_some_and(|x| op.axes >= rank(x))
        })
        || op.downcast_ref::<Take>().is_some_and(|op| {
            op.axis == 0
                && node.inputs.first().copied().flatten().is_some_and(|x| used.contains(&x))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Operator, TensorType};
    use crate::ops::{BinaryKind, Reduce, ReduceKind, Tile, Transpose};

    const WIDTH: usize = 3;

    /// A Graph with `[batch * time, 4, 3]` as one value, and the value.
    fn rows() -> (Graph, ValueId) {
        let mut graph = Graph::new("model");
        let [batch, time] = ["batch", "time"].map(Dim::symbol);
        let dims = [batch.clone(), time.clone(), 4.into(), WIDTH.into()];
        let x = graph.add_input("x", TensorType::new(DType::F32, dims)).expect("an input");
        let dims = [batch * time, 4.into(), WIDTH.into()];
        let x = graph.add_one("fold", Reshape::to(dims), &[x]).expect("reshapes");
        (graph, x)
    }

    fn refused(op: impl Operator, add: impl FnOnce(&mut Graph, ValueId) -> Vec<ValueId>) -> bool {
        let (mut graph, x) = rows();
        let first = graph.nodes().len();
        let inputs = add(&mut graph, x);
        graph.add_one("last", op, &inputs).expect("fits");
        mixing(&graph, &[x], first).is_some()
    }

    fn refused_alone(op: impl Operator) -> bool {
        refused(op, |_, x| vec![x])
    }

    fn sum(axes: std::ops::Range<usize>, keepdims: bool) -> Reduce {
        Reduce { kind: ReduceKind::Sum, first: axes.start, count: axes.len(), keepdims }
    }

    #[test]
    fn operators_on_other_axes_pass() {
        assert!(!refused_alone(sum(1..2, false)));
        assert!(!refused_alone(Reverse { axis: 1 }));
        assert!(!refused_alone(Cumsum { axis: 2 }));
        assert!(!refused_alone(Softmax { axis: 2, log: false }));
        assert!(!refused_alone(Transpose { permutation: vec![0, 2, 1] }));
        assert!(!refused_alone(Tile { repeats: vec![1, 2, 1] }));
    }

    #[test]
    fn operators_along_the_rows_are_found() {
        assert!(refused_alone(sum(0..1, false)));
        assert!(refused_alone(sum(0..1, true)));
        assert!(refused_alone(sum(0..3, false)));
        assert!(refused_alone(Reverse { axis: 0 }));
        assert!(refused_alone(Cumsum { axis: 0 }));
        assert!(refused_alone(Softmax { axis: 0, log: false }));
        assert!(refused_alone(Transpose { permutation: vec![1, 0, 2] }));
        assert!(refused_alone(Tile { repeats: vec![2, 1, 1] }));
    }

    #[test]
    fn parts_of_rows_may_stand_one_after_another() {
        let lead = Dim::symbol("batch") * Dim::symbol("time");
        let parts = [lead.clone() * Dim::Known(4), Dim::Known(WIDTH)];
        assert!(!refused_alone(Reshape::to(parts.clone())));
        let (mut graph, x) = rows();
        let first = graph.nodes().len();
        let parts = graph.add_one("merge", Reshape::to(parts), &[x]).expect("reshapes");
        let back = Reshape::to([lead.clone(), (4 * WIDTH).into()]);
        graph.add_one("split", back, &[parts]).expect("reshapes");
        assert!(mixing(&graph, &[x], first).is_none());
        graph
            .add_one("all", Reshape::to([Dim::Known(4), lead * Dim::Known(WIDTH)]), &[x])
            .expect("fits");
        assert_eq!(mixing(&graph, &[x], first).map(|node| node.name.as_str()), Some("all"));
    }

    #[test]
    fn rows_laid_along_another_axis_are_found() {
        let (mut graph, x) = rows();
        let first = graph.nodes().len();
        let low = graph.add_one("low", sum(1..3, false), &[x]).expect("sums");
        let dims = [Dim::symbol("batch") * Dim::symbol("time"), Dim::Known(1)];
        let column = graph.add_one("column", Reshape::to(dims), &[low]).expect("reshapes");
        assert!(mixing(&graph, &[x], first).is_none());
        // `[rows, 1] - [rows]` are the differences of all pairs.
        let subtract = Binary { kind: BinaryKind::Subtract };
        graph.add_one("pairs", subtract, &[column, low]).expect("fits");
        assert_eq!(mixing(&graph, &[x], first).map(|node| node.name.as_str()), Some("pairs"));
    }

    #[test]
    fn what_does_not_come_of_the_rows_is_free() {
        let (mut graph, x) = rows();
        let first = graph.nodes().len();
        let table = graph.constant(crate::graph::Tensor::zeros(DType::F32, vec![5, WIDTH]));
        graph.add_one("turned", Transpose { permutation: vec![1, 0] }, &[table]).expect("fits");
        assert!(mixing(&graph, &[x], first).is_none());
    }
}
