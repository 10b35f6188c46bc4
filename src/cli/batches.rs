//! Cuts the rows of the inputs into batches and puts the rows of the outputs together.

use super::error::CliError;
use super::sizes;
use crate::graph::{
    DType, Data, Dim, Graph, Held, Tensor, ValueId, VariableKind, each_data, each_pair,
};
use crate::runtime::Tensors;

/// Rows in a batch unless told otherwise; as in Keras's `predict`.
pub(super) const BATCH: usize = 32;

/// The batches of a run.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    inputs: &'a Tensors,
    /// The inputs that are cut; the others are given whole to every batch.
    cut: Vec<bool>,
    rows: usize,
    size: usize,
}

impl<'a> Batches<'a> {
    /// Plans how the rows of `inputs` are cut for `graph`. Without a size the model's results
    /// decide: 32 rows each, and all at once where results cannot be put together again.
    ///
    /// # Errors
    /// If a size is asked for and the rows cannot be cut.
    pub fn new(
        graph: &Graph,
        inputs: &'a Tensors,
        size: Option<usize>,
    ) -> Result<Batches<'a>, CliError> {
        let symbol = sizes::batch_symbol(graph);
        let on_batch = |id: ValueId| {
            let first = graph.ty(id).dims.first();
            symbol.is_some() && first == symbol.clone().map(Dim::Symbol).as_ref()
        };
        let cut: Vec<bool> = inputs
            .names()
            .map(|name| graph.inputs().iter().any(|i| i.name == name && on_batch(i.value)))
            .collect();
        let first = cut.iter().position(|&cut| cut).and_then(|index| inputs.at(index));
        let rows = first.and_then(|(_, tensor)| tensor.shape().first()).copied().unwrap_or(0);
        let whole = Batches { inputs, cut, rows, size: rows.max(1) };
        let reason = why_whole(graph, &on_batch);
        match (size, reason) {
            (Some(size), _) if size >= rows => Ok(whole),
            (Some(_), Some(reason)) => Err(CliError::usage(format!(
                "--batch-size: the rows cannot be cut, because {reason}; leave it out"
            ))),
            (None, Some(_)) => Ok(whole),
            (size, None) => Ok(Batches { size: size.unwrap_or(BATCH).max(1), ..whole }),
        }
    }

    /// How many batches there are; one where there are no rows.
    pub fn count(&self) -> usize {
        self.rows.div_ceil(self.size).max(1)
    }

    /// The inputs of batch `index`.
    pub fn get(&self, index: usize) -> Tensors {
        if self.count() == 1 {
            return self.inputs.clone();
        }
        let from = index * self.size;
        let to = (from + self.size).min(self.rows);
        let part = |(&cut, (name, tensor)): (&bool, (&str, &Tensor))| {
            let tensor = if cut { slice_rows(tensor, from, to) } else { tensor.clone() };
            (name.to_owned(), tensor)
        };
        self.cut.iter().zip(self.inputs.iter()).map(part).collect()
    }
}

/// Why the rows of a run must stay together, if they must.
fn why_whole(graph: &Graph, on_batch: &dyn Fn(ValueId) -> bool) -> Option<String> {
    if graph.variables().iter().any(|variable| variable.kind == VariableKind::State) {
        return Some("the model keeps a state for each row".to_owned());
    }
    let given = graph.input_symbols();
    for output in graph.outputs() {
        if !on_batch(output.value) {
            return Some(format!("output `{}` has no row for each input row", output.name));
        }
        let mut symbols = Vec::new();
        graph.ty(output.value).dims.iter().for_each(|dim| dim.symbols(&mut symbols));
        if symbols.iter().any(|symbol| !given.contains(symbol)) {
            let name = &output.name;
            return Some(format!("the length of output `{name}` depends on the longest text"));
        }
    }
    None
}

fn slice_rows(tensor: &Tensor, from: usize, to: usize) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    let row: usize = shape.iter().skip(1).product();
    if let Some(rows) = shape.first_mut() {
        *rows = to - from;
    }
    fn part<T: Clone>(elements: &[T], from: usize, to: usize) -> Vec<T> {
        elements.get(from..to).unwrap_or_default().to_vec()
    }
    let (from, to) = (from * row, to * row);
    let data = each_data!(tensor.data(), v => Held::hold(part(v, from, to)));
    Tensor::from_parts(shape, data)
}

/// Puts the rows of a batch's outputs below those of the batches before it.
///
/// # Errors
/// If their shapes differ in more than rows.
pub(super) fn append(all: &mut Tensors, batch: Tensors) -> Result<(), CliError> {
    if all.is_empty() {
        *all = batch;
        return Ok(());
    }
    for (index, (name, tensor)) in batch.into_iter().enumerate() {
        let Some(slot) = all.at_mut(index) else { continue };
        let rest = |tensor: &Tensor| tensor.shape().iter().skip(1).copied().collect::<Vec<_>>();
        if rest(slot) != rest(&tensor) || slot.dtype() != tensor.dtype() {
            return Err(CliError::failed(format!(
                "output `{name}` has shape {:?} in one batch and {:?} in another; \
                 run with a larger --batch-size",
                slot.shape(),
                tensor.shape()
            )));
        }
        let mut shape = tensor.shape().to_vec();
        if let (Some(rows), Some(more)) = (shape.first_mut(), slot.shape().first()) {
            *rows += more;
        }
        let before = std::mem::replace(slot, Tensor::zeros(DType::F32, [0])).into_data();
        *slot = Tensor::from_parts(shape, joined(before, tensor.into_data()));
    }
    Ok(())
}

fn joined(before: Data, after: Data) -> Data {
    fn extend<T>(mut before: Vec<T>, after: Vec<T>) -> Vec<T> {
        before.extend(after);
        before
    }
    // The types were compared before.
    each_pair!((before, after), (a, b) => Held::hold(extend(a, b)), Data::none(DType::F32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{TensorType, VariableKind};
    use crate::ops::{Activate, Activation};
    use std::sync::Arc;

    /// `relu(x)`, whose rows are those of `x`; `table` is given whole.
    fn graph() -> Graph {
        let mut graph = Graph::new("rows");
        let dims = vec![Dim::symbol("batch"), Dim::Known(2)];
        let x = graph.add_input("x", TensorType::new(DType::F32, dims)).unwrap();
        graph.add_input("table", TensorType::known(DType::I32, &[3])).unwrap();
        let y = graph.add_one("relu", Activate { activation: Activation::Relu }, &[x]).unwrap();
        graph.add_output("y", y).unwrap();
        graph
    }

    fn inputs(rows: usize) -> Tensors {
        let values: Vec<f32> = (0..2 * rows).map(|i| i as f32).collect();
        Tensors::new()
            .with("x", Tensor::new([rows, 2], values).unwrap())
            .with("table", Tensor::new([3], vec![1, 2, 3]).unwrap())
    }

    #[test]
    fn rows_are_cut_and_put_together_again() {
        let (graph, given) = (graph(), inputs(7));
        let batches = Batches::new(&graph, &given, Some(3)).unwrap();
        assert_eq!(batches.count(), 3);
        let mut all = Tensors::new();
        for index in 0..batches.count() {
            let batch = batches.get(index);
            assert_eq!(batch.get("table"), given.get("table"));
            let rows = batch.get("x").unwrap().clone();
            append(&mut all, Tensors::new().with("x", rows)).unwrap();
        }
        assert_eq!(all.get("x"), given.get("x"));
    }

    #[test]
    fn without_a_size_rows_are_cut_as_keras_cuts_them() {
        let (graph, given) = (graph(), inputs(65));
        assert_eq!(Batches::new(&graph, &given, None).unwrap().count(), 3);
        let none = inputs(0);
        assert_eq!(Batches::new(&graph, &none, None).unwrap().count(), 1);
    }

    #[test]
    fn rows_of_a_model_with_state_stay_together() {
        let mut graph = graph();
        let state = Arc::new(Tensor::zeros(DType::F32, [7, 2]));
        graph.add_variable("state", VariableKind::State, state).unwrap();
        let given = inputs(65);
        assert_eq!(Batches::new(&graph, &given, None).unwrap().count(), 1);
        let error = Batches::new(&graph, &given, Some(3)).unwrap_err();
        assert!(error.text().contains("keeps a state"), "{}", error.text());
    }

    #[test]
    fn outputs_of_different_length_are_an_error() {
        let mut all = Tensors::new().with("y", Tensor::zeros(DType::F32, [2, 5]));
        let other = Tensors::new().with("y", Tensor::zeros(DType::F32, [2, 6]));
        assert!(append(&mut all, other).unwrap_err().text().contains("--batch-size"));
    }
}
