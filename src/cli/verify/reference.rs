//! Against the plain reference kernels, on given or random inputs.

use super::VerifyArgs;
use super::compare::{Report, Tolerance};
use crate::Model;
use crate::cli::error::CliError;
use crate::cli::{inputs, random, sizes};
use crate::graph::Graph;
use crate::runtime::{Options, RunError, Tensors};

/// Rows of random inputs.
const BATCH: usize = 3;
/// Lengths that are tried in turn: a convolution can need more than the first.
pub(super) const LENGTHS: [usize; 4] = [12, 48, 192, 768];

/// Runs the fast kernels and the reference kernels and compares.
pub(super) fn compare(args: &VerifyArgs, tolerance: Tolerance) -> Result<Report, CliError> {
    let model = args.model.open()?;
    let given = args.input.as_deref().map(|path| inputs::read(path, model.graph())).transpose()?;
    compare_model(&model, args.device.options(), args.nodes, given, tolerance)
}

fn compare_model(
    model: &Model,
    fast: Options,
    nodes: bool,
    given: Option<Tensors>,
    tolerance: Tolerance,
) -> Result<Report, CliError> {
    let names = if nodes { layer_names(model.graph()) } else { Vec::new() };
    let fast = fast.outputs(names.iter().cloned());
    let plain = Options::new().outputs(names).reference(true);
    let (found, expected) = match given {
        Some(given) => (run(model, &fast, &given)?, run(model, &plain, &given)?),
        None => run_random(model, &fast, &plain)?,
    };
    let mut report = Report::new(tolerance, "the reference");
    for ((name, found), (_, expected)) in found.iter().zip(expected.iter()) {
        report.add(name, found, expected);
    }
    Ok(report)
}

pub(super) fn run(
    model: &Model,
    options: &Options,
    inputs: &Tensors,
) -> Result<Tensors, Box<RunError>> {
    Ok(model.session(options)?.run(inputs)?)
}

fn run_random(
    model: &Model,
    fast: &Options,
    plain: &Options,
) -> Result<(Tensors, Tensors), CliError> {
    let mut tried = Err(CliError::failed("no length was tried"));
    for length in LENGTHS {
        let given = random_inputs(model.graph(), length)?;
        match run(model, fast, &given) {
            Ok(found) => return Ok((found, run(model, plain, &given)?)),
            // Too short for this model, maybe.
            Err(error) if matches!(*error, RunError::Plan(_)) => tried = Err(error.into()),
            Err(error) => return Err(error.into()),
        }
    }
    tried
}

/// Every layer that gives something, and every output, each once.
fn layer_names(graph: &Graph) -> Vec<String> {
    let layers = graph.layers().iter().filter(|layer| !layer.outputs.is_empty());
    let layers = layers.map(|layer| &layer.name);
    let mut names: Vec<String> = Vec::new();
    for name in layers.chain(graph.outputs().iter().map(|output| &output.name)) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Random inputs of lengths that the model leaves open.
pub(super) fn random_inputs(graph: &Graph, length: usize) -> Result<Tensors, CliError> {
    random::inputs(graph, &sizes::of_all(graph, BATCH, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Data, Dim, Layer, Tensor, TensorType, VariableKind};
    use crate::ops::{Activate, Activation, Cast, Embedding, Take};
    use std::sync::Arc;

    #[test]
    fn random_ids_stay_within_the_smallest_vocabulary_and_repeat() {
        let mut graph = Graph::new("ids");
        let dims = vec![Dim::symbol("batch"), Dim::symbol("time")];
        let ids = graph.add_input("ids", TensorType::new(DType::I32, dims.clone())).unwrap();
        graph.add_input("x", TensorType::new(DType::F32, dims)).unwrap();
        for (name, size) in [("large", 50), ("small", 5)] {
            let table = Arc::new(Tensor::zeros(DType::F32, [size, 2]));
            let table = graph.add_variable(name, VariableKind::Parameter, table).unwrap();
            let table = graph.read(table);
            let rows = graph.add_one(name, Embedding, &[ids, table]).unwrap();
            graph.add_output(name, rows).unwrap();
        }
        let given = random_inputs(&graph, 40).unwrap();
        let Data::I32(ids) = given.get("ids").unwrap().data() else { panic!("ids are i32") };
        assert!((0..5).all(|id| ids.contains(&id)) && ids.iter().all(|id| (0..5).contains(id)));
        let x = given.get("x").unwrap();
        assert_eq!(x.shape(), [BATCH, 40]);
        assert!(x.as_f32().unwrap().iter().all(|x| (-1.0..1.0).contains(x)));
        assert_eq!(given, random_inputs(&graph, 40).unwrap());
    }

    #[test]
    fn random_positions_stay_within_what_they_are_taken_from() {
        let mut graph = Graph::new("positions");
        let ty = TensorType::new(DType::I64, vec![Dim::symbol("batch"), Dim::Known(40)]);
        let ids = graph.add_input("ids", ty).unwrap();
        let narrow = graph.add_one("narrow", Cast { to: DType::I32 }, &[ids]).unwrap();
        let table = graph.constant(Tensor::zeros(DType::F32, [4, 7]));
        let taken = graph.add_one("take", Take { axis: 1 }, &[table, narrow]).unwrap();
        graph.add_output("taken", taken).unwrap();
        let given = random_inputs(&graph, 1).unwrap();
        let Data::I64(ids) = given.get("ids").unwrap().data() else { panic!("ids are i64") };
        assert!((0..7).all(|id| ids.contains(&id)) && ids.iter().all(|id| (0..7).contains(id)));
    }

    #[test]
    fn every_layer_is_compared_with_the_reference() {
        let mut graph = Graph::new("two");
        let dims = vec![Dim::symbol("batch"), Dim::symbol("time"), Dim::Known(3)];
        let x = graph.add_input("x", TensorType::new(DType::F32, dims)).unwrap();
        let mut last = x;
        for (name, activation) in [("first", Activation::Tanh), ("second", Activation::Sigmoid)] {
            last = graph.add_one(name, Activate { activation }, &[last]).unwrap();
            let (name, outputs) = (name.to_owned(), vec![last]);
            graph.add_layer(Layer { name, outputs, ..Layer::default() });
        }
        graph.add_output("second", last).unwrap();
        let tolerance = Tolerance { relative: 1e-5, absolute: 1e-5 };
        let model = Model::from_graph(graph);
        let report = compare_model(&model, Options::new(), true, None, tolerance).unwrap();
        assert_eq!(report.first_mismatch(), None);
        let text = report.render();
        assert!(text.contains("first") && text.contains("[3, 12, 3]"), "{text}");
        assert!(text.contains("All 2 match"), "{text}");
    }
}
