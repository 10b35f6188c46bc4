//! Against the plain reference kernels, on given or random inputs.

use std::collections::HashSet;

use half::f16;

use super::VerifyArgs;
use super::compare::{Report, Tolerance};
use crate::Model;
use crate::cli::error::CliError;
use crate::cli::{inputs, sizes};
use crate::graph::{Bindings, Data, Graph, Input, Tensor, ValueId};
use crate::ops::{Embedding, Take, TextVectorization};
use crate::runtime::{Options, RunError, Tensors};

/// Rows of random inputs.
const BATCH: usize = 3;
/// Lengths that are tried in turn: a convolution can need more than the first.
pub(super) const LENGTHS: [usize; 4] = [12, 48, 192, 768];
const SEED: u64 = 0x5eed;

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

/// Inputs of the model's types: numbers from -1 to 1, ids that every Embedding knows, words of the
/// model's vocabulary.
pub(super) fn random_inputs(graph: &Graph, length: usize) -> Result<Tensors, CliError> {
    let mut bindings = Bindings::new();
    if let Some(batch) = sizes::batch_symbol(graph) {
        bindings.bind(&batch, BATCH);
    }
    sizes::length_symbols(graph).iter().for_each(|symbol| bindings.bind(symbol, length));
    let ids = smallest_vocabulary(graph);
    let words = words(graph);
    let mut random = Random(SEED);
    graph
        .inputs()
        .iter()
        .map(|input| {
            let tensor = random_input(graph, input, &bindings, ids, &words, &mut random)?;
            Ok((input.name.clone(), tensor))
        })
        .collect()
}

fn random_input(
    graph: &Graph,
    input: &Input,
    bindings: &Bindings,
    ids: u64,
    words: &[String],
    random: &mut Random,
) -> Result<Tensor, CliError> {
    let ty = graph.ty(input.value);
    let mut tensor = Tensor::zeros(ty.dtype, ty.eval(bindings)?);
    match tensor.data_mut() {
        Data::F32(v) => v.iter_mut().for_each(|x| *x = random.unit() * 2.0 - 1.0),
        Data::I32(v) => v.iter_mut().for_each(|x| *x = random.below(ids) as i32),
        Data::I64(v) => v.iter_mut().for_each(|x| *x = random.below(ids) as i64),
        Data::F64(v) => v.iter_mut().for_each(|x| *x = f64::from(random.unit() * 2.0 - 1.0)),
        Data::F16(v) => {
            v.iter_mut().for_each(|x| *x = f16::from_f32(random.unit() * 2.0 - 1.0));
        }
        Data::I8(v) => v.iter_mut().for_each(|x| *x = random.below(ids.min(128)) as i8),
        Data::I16(v) => v.iter_mut().for_each(|x| *x = random.below(ids.min(1 << 15)) as i16),
        Data::U8(v) => v.iter_mut().for_each(|x| *x = random.below(ids.min(256)) as u8),
        Data::U16(v) => v.iter_mut().for_each(|x| *x = random.below(ids.min(1 << 16)) as u16),
        Data::U32(v) => v.iter_mut().for_each(|x| *x = random.below(ids) as u32),
        Data::U64(v) => v.iter_mut().for_each(|x| *x = random.below(ids)),
        Data::Bool(v) => v.iter_mut().for_each(|x| *x = random.below(2) == 1),
        Data::Str(v) => v.iter_mut().for_each(|x| *x = random.sentence(words)),
    }
    Ok(tensor)
}

/// The size of the smallest table that ids are looked up in: by an Embedding, or by positions that
/// are computed of whole numbers that the model is given.
fn smallest_vocabulary(graph: &Graph) -> u64 {
    let mut given: HashSet<ValueId> = graph.inputs().iter().map(|input| input.value).collect();
    let mut smallest: Option<usize> = None;
    for node in graph.nodes() {
        let input = |slot: usize| node.inputs.get(slot).copied().flatten();
        let size = |slot: usize, axis: usize| graph.ty(input(slot)?).dims.get(axis)?.known();
        let found = if node.op.downcast_ref::<Embedding>().is_some() {
            size(1, 0)
        } else if let Some(Take { axis }) = node.op.downcast_ref() {
            input(1).filter(|ids| given.contains(ids)).and_then(|_| size(0, *axis))
        } else {
            // Casts and reshapes, and exporters' arithmetic for ids below 0.
            if node.inputs.iter().flatten().any(|value| given.contains(value)) {
                let whole = |value: &&ValueId| !graph.ty(**value).dtype.is_float();
                given.extend(node.outputs.iter().filter(whole));
            }
            None
        };
        smallest = found.into_iter().chain(smallest).min();
    }
    smallest.map_or(100, |size| size.clamp(1, i32::MAX as usize) as u64)
}

/// Words that the model's text layer knows, and one that it does not.
fn words(graph: &Graph) -> Vec<String> {
    let layers =
        graph.nodes().iter().filter_map(|node| node.op.downcast_ref::<TextVectorization>());
    let known = layers.filter_map(TextVectorization::vectorizer).flat_map(|v| v.vocabulary());
    known.filter(|word| !word.is_empty()).cloned().chain(["unheardof".to_owned()]).collect()
}

/// Equal numbers on every run: splitmix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From 0 to `limit`, exclusive.
    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// From 0 to 1, exclusive.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }

    fn sentence(&mut self, words: &[String]) -> String {
        let count = 1 + self.below(12);
        let word = |_| {
            let index = self.below(words.len() as u64) as usize;
            words.get(index).map_or("", String::as_str)
        };
        (0..count).map(word).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{DType, Dim, Layer, TensorType, VariableKind};
    use crate::ops::{Activate, Activation, Cast};
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
