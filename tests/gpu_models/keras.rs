//! What real Keras gave. SEQFUSE_CASES=part,of,name chooses cases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use seqfuse::graph::Input;
use seqfuse::{Device, Model, Options, Tensor, Tensors};
use serde_json::Value;

use super::common::cases::{all, fixtures, list, options as reading};
use super::common::check::{chain, check_calls_within, difference_within, text, wanted};
use super::common::npz;
use super::{Limits, TOLERANCE, on_cpu, options};

/// Layers whose 64-bit integers (hashes, and what stands for a masked token) may not fit the GPU's
/// words: such a stage is planned for the GPU, and moved by the values of the run.
const WIDE: [&str; 2] = ["lookup/", "preprocessing/hashing"];

/// Runs the case; gives the operators that are left to the processor.
fn check(case: &Value, options: &Options) -> Result<Vec<String>, String> {
    let (family_of, name) = (text(case, "family"), text(case, "name"));
    let file = fixtures().join(family_of).join(name);
    let arrays = npz::read(&file.with_added_extension("npz"));
    let inputs = case["inputs"].as_array().ok_or("a list of inputs")?;
    let model = Model::open_with(file.with_added_extension("keras"), &reading())
        .map_err(|error| chain(&error))?;
    let mut session = model.session(options).map_err(|error| chain(&error))?;
    check_calls_within(TOLERANCE, &mut session, &arrays, inputs)?;
    let is_wide = WIDE.iter().any(|family| format!("{family_of}/{name}").starts_with(family));
    match session.moved_stages() {
        moved if moved > 0 && !is_wide => Err(format!("{moved} stages moved to the CPU")),
        _ => Ok(on_cpu(&session)),
    }
}

fn check_all(limits: Limits) {
    let Some(options) = options(limits) else { return };
    let (mut run, mut failed) = (BTreeSet::new(), Vec::new());
    let mut left: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in all() {
        let name = format!("{}/{}", text(&case, "family"), text(&case, "name"));
        if !wanted(&name) {
            continue;
        }
        match check(&case, &options) {
            Ok(operators) => {
                for operator in operators {
                    left.entry(operator).or_default().push(name.clone());
                }
            }
            Err(problem) => failed.push(format!("{name}: {problem}")),
        }
        run.insert(name);
    }
    println!("{} cases on the GPU, {limits:?}'s limits", run.len());
    assert!(failed.is_empty(), "{} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(left.is_empty(), "on the CPU: {left:?}");
    check_documented(&options, &run);
}

/// Every documented architecture is among the cases, or gives what the CPU gives, with the weights of
/// its initializers and ids below 10.
fn check_documented(options: &Options, run: &BTreeSet<String>) {
    for entry in std::fs::read_dir(root().join("models")).expect("the models are there") {
        let path = entry.expect("can be listed").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("UTF-8");
        let name = format!("documented/{name}");
        let is_model = path.extension().is_some_and(|extension| extension == "json");
        if !is_model || run.contains(&name) || !wanted(&name) {
            continue;
        }
        let model = Model::open(&path).expect("the model opens");
        let ids = |input: &Input| {
            let dims = &model.graph().ty(input.value).dims;
            let shape: Vec<usize> = dims.iter().map(|dim| dim.known().unwrap_or(2)).collect();
            let ids = (0..shape.iter().product()).map(|at: usize| (at * 7 % 10) as i32);
            let ids = Tensor::new(shape, ids.collect::<Vec<_>>()).expect("the count fits");
            (input.name.clone(), ids)
        };
        let inputs: Tensors = model.graph().inputs().iter().map(ids).collect();
        let mut session = model.session(options).expect("a session");
        let found = session.run(&inputs).expect("it runs");
        let cpu = Options::new().device(Device::Cpu).threads(1);
        let expected = model.session(&cpu).expect("a session").run(&inputs).expect("it runs");
        for ((output, found), (_, expected)) in found.iter().zip(expected.iter()) {
            assert_eq!(difference_within(TOLERANCE, output, found, expected), Ok(()), "{name}");
        }
        assert_eq!((session.moved_stages(), on_cpu(&session)), (0, Vec::new()), "{name}");
        println!("{name}: as on the CPU");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_fixture_gives_what_keras_gives_under_the_adapters_limits() {
    check_all(Limits::Adapter);
}

#[test]
fn every_fixture_gives_what_keras_gives_under_the_smallest_limits() {
    check_all(Limits::WebGpu);
}

#[test]
fn the_trained_sample_classifies_sentences_as_keras_does() {
    let Some(options) = options(Limits::Adapter) else { return };
    let model = Model::open(root().join("models/sentiment.keras")).expect("the sample");
    let mut session = model.session(&options).expect("the GPU has every kernel");
    let cases = list("sample/sentiment.json");
    let texts: Vec<&str> = cases.iter().map(|case| text(case, "text")).collect();
    let expected = cases.iter().map(|case| case["probability"].as_f64().expect("a number") as f32);
    let input = &model.graph().inputs()[0];
    let mut rows = vec![texts.len()];
    rows.resize(model.graph().ty(input.value).rank(), 1);
    let texts = Tensor::from(&texts[..]).reshaped(rows).expect("as many texts");
    let outputs = session.run(&[(input.name.clone(), texts)].into()).expect("it runs");
    let (name, found) = outputs.at(0).expect("an output");
    let expected = Tensor::new(found.shape(), expected.collect::<Vec<f32>>()).expect("a text each");
    assert_eq!(difference_within(TOLERANCE, name, found, &expected), Ok(()));
}

/// Weights of half precision are read, and cost no more than their rounding.
#[test]
fn half_weights_give_what_keras_gives_to_three_digits() {
    for limits in [Limits::Adapter, Limits::WebGpu] {
        let Some(options) = options(limits) else { return };
        let half = options.clone().half_weights(true);
        for name in ["imdb-gru", "imdb-bilstm", "encoder-classifier", "conv-classifier"] {
            let file = fixtures().join("documented").join(name);
            let arrays = npz::read(&file.with_added_extension("npz"));
            let model = Model::open(file.with_added_extension("keras")).expect("it opens");
            let inputs: Vec<_> = arrays
                .iter()
                .filter_map(|(key, array)| {
                    Some((key.strip_prefix("in/")?.to_owned(), array.clone()))
                })
                .collect();
            let inputs: Tensors = inputs.into_iter().collect();
            let run = |options: &Options| {
                let mut session = model.session(options).expect("a session");
                let outputs = session.run(&inputs).expect("it runs");
                assert_eq!(session.moved_stages(), 0, "{name}");
                outputs.at(0).expect("an output").1.clone()
            };
            let (found, full) = (run(&half), run(&options));
            assert_eq!(difference_within(5e-3, name, &found, &arrays["out/0"]), Ok(()));
            assert_ne!(found, full, "{name}: the weights are the same");
        }
    }
}
