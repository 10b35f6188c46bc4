//! Real models that packages ship give what their own code computes (tools/fixtures/real.py).
//!
//! The packages are fetched by `python3 tools/data/fetch.py`; without them these tests are SKIPPED,
//! unless SEQFUSE_REQUIRE_DATA=1 makes that a failure.

mod common;

use std::path::{Path, PathBuf};

use seqfuse::{Data, Model, Options, ReadOptions, Tensor, Tensors};
use serde_json::Value;

use common::cases::fixtures;
use common::npz;

/// Absolute plus relative.
const TOLERANCE: f32 = 1e-4;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of a fetched package, or a loud note that it is not there.
fn fetched(file: &str) -> Option<PathBuf> {
    let path = root().join("tools/data/cache").join(file);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var("SEQFUSE_REQUIRE_DATA").is_ok_and(|value| value == "1");
    assert!(!required, "{file} is missing: python3 tools/data/fetch.py");
    eprintln!("SKIPPED: {file} is not fetched: python3 tools/data/fetch.py");
    None
}

fn open(description: &str, weights: &Path) -> Model {
    let architecture = std::fs::read(root().join("models").join(description)).expect("reads");
    let options = ReadOptions { architecture: Some(architecture), ..ReadOptions::default() };
    Model::open_with(weights, &options).expect("opens")
}

fn run(model: &Model, inputs: &Tensors) -> Tensor {
    let mut session = model.session(&Options::default()).expect("a session");
    let outputs = session.run(inputs).expect("runs");
    outputs.at(0).expect("an output").1.clone()
}

/// Runs on the recorded inputs and compares with the recorded output.
fn check(model: &Model, name: &str) {
    let arrays = npz::read(&fixtures().join("real").join(format!("{name}.npz")));
    let mut inputs = Tensors::new();
    for (key, array) in &arrays {
        if let Some(input) = key.strip_prefix("in/") {
            inputs.insert(input, array.clone());
        }
    }
    let found = run(model, &inputs);
    let expected = &arrays["out/0"];
    assert_eq!(found.shape(), expected.shape());
    let (Some(found), Some(expected)) = (found.as_f32(), expected.as_f32()) else {
        panic!("probabilities are f32");
    };
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= TOLERANCE * (1.0 + b.abs()), "{name}: {at}: {a}, not {b}");
    }
}

#[test]
fn textgenrnn_gives_what_its_own_code_gives() {
    let Some(weights) = fetched("textgenrnn/textgenrnn_weights.hdf5") else { return };
    check(&open("textgenrnn.json", &weights), "textgenrnn");
}

#[test]
fn textgenrnn_goes_on_with_likely_characters() {
    let (Some(weights), Some(vocabulary)) = (
        fetched("textgenrnn/textgenrnn_weights.hdf5"),
        fetched("textgenrnn/textgenrnn_vocab.json"),
    ) else {
        return;
    };
    let text = std::fs::read_to_string(vocabulary).expect("reads");
    let vocabulary: serde_json::Map<String, Value> =
        serde_json::from_str(&text).expect("an object");
    let id = |token: &str| vocabulary.get(token).and_then(Value::as_i64).unwrap_or(0) as i32;
    let mut ids = vec![0; 40];
    let prefix = "The best thing about a".chars().map(|c| id(&c.to_string()));
    let tokens: Vec<i32> = std::iter::once(id("<s>")).chain(prefix).collect();
    let start = ids.len() - tokens.len();
    ids[start..].copy_from_slice(&tokens);
    let mut inputs = Tensors::new();
    inputs.insert("input", Tensor::new(vec![1, 40], Data::I32(ids)).expect("40 ids"));
    let output = run(&open("textgenrnn.json", &weights), &inputs);
    let probabilities = output.as_f32().expect("probabilities");
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let likely: Vec<&str> = order
        .iter()
        .take(5)
        .filter_map(|&index| {
            let mut tokens = vocabulary.iter();
            let found = tokens.find(|(_, id)| id.as_u64() == Some(index as u64));
            found.map(|(token, _)| token.as_str())
        })
        .collect();
    assert_eq!(likely, [" ", "n", "l", "t", "c"]);
}

#[test]
fn deepcut_gives_what_its_own_code_gives() {
    let Some(weights) = fetched("deepcut/weight/cnn_without_ne_ab.h5") else { return };
    check(&open("deepcut.json", &weights), "deepcut");
}
