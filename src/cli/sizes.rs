//! The symbolic sizes of a model, and the numbers that a user gives for them.

use super::error::CliError;
use crate::graph::{Bindings, Dim, Graph, Symbol, TensorType, ValueId};
use crate::ops::Late;

/// The symbol of the batch: the first dimension of the first input that leaves it open.
pub(super) fn batch_symbol(graph: &Graph) -> Option<Symbol> {
    graph.inputs().iter().find_map(|input| match graph.ty(input.value).dims.first() {
        Some(Dim::Symbol(symbol)) => Some(symbol.clone()),
        _ => None,
    })
}

/// The symbols besides the batch, those that a text layer's result has among them.
pub(super) fn length_symbols(graph: &Graph) -> Vec<Symbol> {
    let mut found = Vec::new();
    for index in 0..graph.value_count() {
        graph.ty(ValueId(index)).dims.iter().for_each(|dim| dim.symbols(&mut found));
    }
    let (batch, measured) = (batch_symbol(graph), measured(graph));
    found.retain(|symbol| Some(symbol) != batch.as_ref() && !measured.contains(symbol));
    found
}

/// The symbols that only a run can measure: those of what runs Graphs of its own gives.
fn measured(graph: &Graph) -> Vec<Symbol> {
    let (mut found, given) = (Vec::new(), graph.input_symbols());
    for node in graph.nodes() {
        if !node.op.bodies().is_empty() || node.op.downcast_ref::<Late>().is_some() {
            let dims = node.outputs.iter().flat_map(|id| &graph.ty(*id).dims);
            dims.for_each(|dim| dim.symbols(&mut found));
        }
    }
    found.retain(|symbol| !given.contains(symbol));
    found
}

/// Every open size: that of the batch, and one for all others.
pub(super) fn of_all(graph: &Graph, batch: usize, length: usize) -> Bindings {
    let mut bindings = Bindings::new();
    if let Some(symbol) = batch_symbol(graph) {
        bindings.bind(&symbol, batch);
    }
    length_symbols(graph).iter().for_each(|symbol| bindings.bind(symbol, length));
    bindings
}

/// Gives `--batch` and `--length` to the symbols that they stand for.
///
/// # Errors
/// If the model leaves no such size open.
pub(super) fn bind(
    graph: &Graph,
    batch: Option<usize>,
    length: Option<usize>,
) -> Result<Bindings, CliError> {
    let mut bindings = Bindings::new();
    match (batch_symbol(graph), batch) {
        (Some(symbol), Some(size)) => bindings.bind(&symbol, size),
        (None, Some(_)) => {
            return Err(CliError::usage("--batch: the model's batch size is fixed; leave it out"));
        }
        (_, None) => {}
    }
    if let Some(size) = length {
        let symbols = length_symbols(graph);
        if symbols.is_empty() {
            let what = "--length: every length of this model is fixed; leave it out";
            return Err(CliError::usage(what));
        }
        symbols.iter().for_each(|symbol| bindings.bind(symbol, size));
    }
    Ok(bindings)
}

/// The sizes of a type; `None` for those that are open.
pub(super) fn shape(ty: &TensorType, bindings: &Bindings) -> Vec<Option<usize>> {
    ty.dims.iter().map(|dim| dim.eval(bindings).ok()).collect()
}

/// A shape as Keras prints it: `(None, 100, 64)`, `(None,)`.
pub(super) fn tuple(shape: &[Option<usize>]) -> String {
    let sizes = shape.iter().map(|size| size.map_or("None".to_owned(), |size| size.to_string()));
    match &sizes.collect::<Vec<_>>()[..] {
        [size] => format!("({size},)"),
        sizes => format!("({})", sizes.join(", ")),
    }
}
