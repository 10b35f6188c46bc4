//! Folds dense layers over looked-up rows into the table: a row of the product is the product of a
//! row, so that the whole table can be multiplied once and the run only looks up.

use std::sync::Arc;

use crate::graph::{Dim, Edit, Graph, GraphError, Node, Source, ValueId};
use crate::ops::{Dense, Embedding, Reshape};

/// Below so many features a lookup is not cheaper than the product.
const FEATURES: usize = 32;
/// Multiplications that may be spent on a table once: less than a millisecond's.
const PRODUCT: usize = 1 << 27;
/// The most elements of a table, which should stay in a cache.
const TABLE: usize = 1 << 20;

/// The Graph in which `dense(embedding(ids, table))` is `embedding(ids, dense(table))`, where no
/// run changes table and weights and the table stays small.
///
/// # Errors
/// If the result is not valid.
pub fn project_tables(graph: &Graph) -> Result<Graph, GraphError> {
    graph.rewrite(|new, node, inputs| {
        let Some(found) = Found::new(new, node, inputs) else { return Ok(Edit::Keep) };
        let name = &node.name;
        let inputs = vec![Some(found.table), Some(found.kernel), found.bias];
        let [projected] = new.add_node(name, Arc::new(found.dense), inputs)?[..] else {
            return Ok(Edit::Keep);
        };
        let [vocabulary, columns] = [found.vocabulary, found.columns].map(Dim::Known);
        let flat = Reshape::to([vocabulary, columns]);
        let flat = new.add_one(name, flat, &[projected])?;
        let rows = new.add_one(name, Embedding, &[found.ids, flat])?;
        let dims = [&new.ty(found.ids).dims[..], &found.outs].concat();
        Ok(Edit::Replace(vec![new.add_one(name, Reshape::to(dims), &[rows])?]))
    })
}

/// A dense layer over looked-up rows.
struct Found {
    dense: Dense,
    ids: ValueId,
    table: ValueId,
    vocabulary: usize,
    kernel: ValueId,
    bias: Option<ValueId>,
    /// The last axes of the result, and their product.
    outs: Vec<Dim>,
    columns: usize,
}

impl Found {
    fn new(graph: &Graph, node: &Node, inputs: &[Option<ValueId>]) -> Option<Found> {
        let dense = node.op.downcast_ref::<Dense>().filter(|dense| dense.contract == 1)?.clone();
        let (x, kernel) = (inputs.first().copied()??, inputs.get(1).copied()??);
        let bias = inputs.get(2).copied().flatten();
        let Source::Node { node, .. } = graph.value(x).source else { return None };
        let lookup = graph.node(node);
        lookup.op.downcast_ref::<Embedding>()?;
        let (ids, table) = (lookup.inputs.first().copied()??, lookup.inputs.get(1).copied()??);
        let is_fixed = |id: ValueId| match graph.value(id).source {
            Source::Constant(_) => true,
            Source::Variable(variable) => !graph.is_kept(variable),
            _ => false,
        };
        if ![Some(table), Some(kernel), bias].into_iter().flatten().all(is_fixed) {
            return None;
        }
        let known =
            |id: ValueId| graph.ty(id).dims.iter().map(Dim::known).collect::<Option<Vec<usize>>>();
        let [vocabulary, features] = known(table)?[..] else { return None };
        let columns: usize = known(kernel)?.get(1..)?.iter().product();
        let product = vocabulary.checked_mul(features)?.checked_mul(columns)?;
        let fits = product <= PRODUCT && vocabulary * columns <= TABLE && columns <= 4 * features;
        let outs = graph.ty(kernel).dims[1..].to_vec();
        let found = Found { dense, ids, table, vocabulary, kernel, bias, outs, columns };
        (features >= FEATURES && fits).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Tensor, TensorType};
    use crate::ops::Activation;

    fn names(sizes: [usize; 3], fixed: bool) -> Vec<&'static str> {
        let [vocabulary, features, units] = sizes;
        let mut graph = Graph::new("tables");
        let batch = [Dim::symbol("batch"), Dim::Known(7)];
        let ids = graph.add_input("ids", TensorType::new(DType::I32, batch)).expect("the first");
        let table = match fixed {
            true => graph.constant(Tensor::zeros(DType::F32, [vocabulary, features])),
            false => {
                let dims = [vocabulary, features].map(Dim::Known);
                graph.add_input("table", TensorType::new(DType::F32, dims)).expect("another")
            }
        };
        let kernel = graph.constant(Tensor::zeros(DType::F32, [features, 2, units]));
        let bias = graph.constant(Tensor::zeros(DType::F32, [2, units]));
        let rows = graph.add_one("rows", Embedding, &[ids, table]).expect("a table");
        let dense = Dense { contract: 1, activation: Activation::Relu };
        let y = graph.add_one("dense", dense, &[rows, kernel, bias]).expect("sizes that fit");
        let ty = graph.ty(y).clone();
        graph.add_output("y", y).expect("the only one");
        let graph = project_tables(&graph).expect("it is valid");
        assert_eq!(*graph.ty(graph.outputs()[0].value), ty);
        let graph = crate::passes::remove_dead(&graph).expect("it is valid");
        graph.nodes().iter().map(|node| node.op.name()).collect()
    }

    #[test]
    fn a_layer_over_a_small_table_becomes_a_table() {
        let folded = ["dense", "reshape", "embedding", "reshape"];
        assert_eq!(names([1000, 64, 32], true), folded);
    }

    #[test]
    fn large_tables_narrow_rows_and_tables_of_the_run_stay() {
        for (sizes, fixed) in
            [([100_000, 64, 32], true), ([100, 16, 8], true), ([1000, 64, 32], false)]
        {
            assert_eq!(names(sizes, fixed), ["embedding", "dense"], "{sizes:?} {fixed}");
        }
    }
}
