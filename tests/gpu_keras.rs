//! Models of real Keras give on the GPU what they give on the CPU, which tests/keras_fixtures.rs
//! holds against Keras. Needs an adapter, as tests/gpu.rs says.
#![cfg(feature = "gpu")]

mod common;
#[path = "common/gpu.rs"]
mod gpu;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use seqfuse::runtime::gpu::{GpuDevice, OpenOptions};
use seqfuse::{
    Data, Device, Model, Options, Placed, Placement, RunError, Session, Tensor, Tensors,
};
use serde_json::Value;

use common::cases::{all, list};
use common::npz;

/// Absolute plus relative.
const TOLERANCE: f32 = 1e-4;

/// Cases that the GPU has every kernel for.
const WHOLE: [&str; 2] = ["documented/sentiment-lstm", "documented/sentiment-gru"];

/// The device, held open for the whole test, so that each Session finds it open.
fn device() -> Option<Arc<GpuDevice>> {
    static DEVICE: OnceLock<Option<Arc<GpuDevice>>> = OnceLock::new();
    let options = OpenOptions { poison: true, ..OpenOptions::default() };
    let opened = DEVICE.get_or_init(|| match gpu::open(options) {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("SKIPPED: no GPU adapter for Keras's models: {error}");
            None
        }
    });
    let required = std::env::var("SEQFUSE_REQUIRE_GPU").is_ok_and(|value| value == "1");
    assert!(opened.is_some() || !required, "SEQFUSE_REQUIRE_GPU=1, and there is no GPU adapter");
    opened.clone()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn session(model: &Model, device: Device) -> Result<Session, RunError> {
    model.session(&Options::new().device(device))
}

fn difference(found: &Tensor, expected: &Tensor) -> Option<String> {
    if found.shape() != expected.shape() {
        return Some(format!("shape {:?}, not {:?}", found.shape(), expected.shape()));
    }
    let (Data::F32(found), Data::F32(expected)) = (found.data(), expected.data()) else {
        return (found.dtype() == expected.dtype() && found != expected)
            .then(|| "other values".to_owned());
    };
    let pairs = found.iter().zip(expected);
    let far = |a: f32, b: f32| {
        let close = a == b || (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
        !(close || a.is_nan() && b.is_nan())
    };
    let mut wrong = pairs.enumerate().filter(|(_, (a, b))| far(**a, **b));
    wrong.next().map(|(at, (a, b))| format!("element {at} is {a}, not {b}"))
}

/// How a case ran.
enum Ran {
    /// It cannot be read, or not be run on the CPU, which is the matter of other tests.
    Not,
    /// With these operators on the CPU.
    With(Vec<String>),
}

/// The operators that the CPU runs in a GPU Session, but for arithmetic of shapes.
fn on_cpu(session: &Session) -> Vec<String> {
    let elsewhere = session.placements().into_iter();
    let elsewhere = elsewhere.filter(|placement| placement.place == Some(Placed::Cpu));
    let named = |placement: Placement| {
        format!("{}: {}", placement.op, placement.reason.unwrap_or_default())
    };
    elsewhere.map(named).collect()
}

/// Runs the case on both devices; `Err` if the GPU gives something else than the CPU.
fn check(case: &Value, name: &str) -> Result<Ran, String> {
    let file = root().join("tests/fixtures").join(name);
    let arrays = npz::read(&file.with_added_extension("npz"));
    let Ok(model) = Model::open(file.with_added_extension("keras")) else { return Ok(Ran::Not) };
    let Ok(mut cpu) = session(&model, Device::Cpu) else { return Ok(Ran::Not) };
    let mut gpu = session(&model, Device::Gpu).map_err(|error| error.to_string())?;
    for call in 1.. {
        let suffix = if call == 1 { String::new() } else { format!("@{call}") };
        if !arrays.keys().any(|key| key.starts_with(&format!("in{suffix}/"))) {
            break;
        }
        let mut inputs = Tensors::new();
        for input in case["inputs"].as_array().expect("a list of inputs") {
            let input = input["name"].as_str().expect("a name");
            let array = arrays.get(&format!("in{suffix}/{input}")).ok_or("an input is missing")?;
            inputs.insert(input, array.clone());
        }
        let (found, expected) = match (gpu.run(&inputs), cpu.run(&inputs)) {
            (Ok(found), Ok(expected)) => (found, expected),
            (Err(a), Err(b)) if a.to_string() == b.to_string() => return Ok(Ran::Not),
            (a, b) => return Err(format!("{:?}, on the CPU {:?}", a.err(), b.err())),
        };
        for ((output, found), (_, expected)) in found.iter().zip(expected.iter()) {
            if let Some(problem) = difference(found, expected) {
                return Err(format!("output{suffix} {output}: {problem}"));
            }
        }
    }
    Ok(Ran::With(on_cpu(&gpu)))
}

/// Whether `SEQFUSE_CASES`, parts of names, chooses the case; all where it is not set.
fn chosen(name: &str) -> bool {
    match std::env::var("SEQFUSE_CASES") {
        Ok(parts) => parts.split(',').any(|part| name.contains(part)),
        Err(_) => true,
    }
}

#[test]
fn every_fixture_gives_what_the_cpu_gives() {
    let Some(_device) = device() else { return };
    let (mut whole, mut partly, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    let mut elsewhere: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in all() {
        let part = |key: &str| case[key].as_str().expect("text").to_owned();
        let name = format!("{}/{}", part("family"), part("name"));
        if !chosen(&name) {
            continue;
        }
        match check(&case, &name) {
            Ok(Ran::With(operators)) if operators.is_empty() => whole.push(name),
            Ok(Ran::With(mut operators)) => {
                operators.sort();
                operators.dedup();
                for operator in operators {
                    elsewhere.entry(operator).or_default().push(name.clone());
                }
                partly.push(name);
            }
            Ok(Ran::Not) => {}
            Err(problem) => failed.push(format!("{name}: {problem}")),
        }
    }
    println!("{} cases ran on the GPU alone, {} partly on the CPU", whole.len(), partly.len());
    let mut elsewhere: Vec<_> = elsewhere.into_iter().collect();
    elsewhere.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    for (operator, cases) in &elsewhere {
        println!("{:4} {operator} ({})", cases.len(), cases[..cases.len().min(3)].join(", "));
    }
    assert!(failed.is_empty(), "{} cases:\n{}", failed.len(), failed.join("\n"));
    // Only what computes on sizes alone is left to the processor.
    elsewhere.retain(|(operator, _)| !operator.ends_with("arithmetic of sizes"));
    assert!(elsewhere.is_empty(), "on the CPU: {elsewhere:?}");
    for name in WHOLE.iter().filter(|name| chosen(name)) {
        assert!(whole.iter().any(|ran| ran == name), "{name} must run on the GPU");
    }
}

#[test]
fn the_trained_sample_classifies_sentences_as_keras_does() {
    let Some(_device) = device() else { return };
    let model = Model::open(root().join("models/sentiment.keras")).expect("the sample");
    let mut session = session(&model, Device::Gpu).expect("the GPU has every kernel");
    let cases = list("sample/sentiment.json");
    let texts: Vec<&str> = cases.iter().map(|case| case["text"].as_str().expect("text")).collect();
    let expected = cases.iter().map(|case| case["probability"].as_f64().expect("a number") as f32);
    let shape = model.graph().ty(model.graph().inputs()[0].value).rank();
    let mut rows = vec![texts.len()];
    rows.resize(shape, 1);
    let texts = Tensor::from(&texts[..]).reshaped(rows).expect("as many texts");
    let name = model.graph().inputs()[0].name.clone();
    let outputs = session.run(&[(name, texts)].into()).expect("it runs");
    let (_, found) = outputs.at(0).expect("an output");
    let expected = Tensor::new(found.shape(), expected.collect::<Vec<f32>>()).expect("a text each");
    assert_eq!(difference(found, &expected), None);
}
