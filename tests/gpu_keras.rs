//! Models of real Keras give on the GPU what they give on the CPU, which tests/keras_fixtures.rs
//! holds against Keras, or are refused by name. Needs an adapter, as tests/gpu.rs says.
#![cfg(feature = "gpu")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use seqfuse::runtime::gpu::GpuDevice;
use seqfuse::{Data, Device, Model, Options, RunError, Session, Tensor, Tensors};
use serde_json::Value;

use common::cases::{all, list};
use common::npz;

/// Absolute plus relative.
const TOLERANCE: f32 = 1e-4;

/// Cases that the GPU has every kernel for.
const WHOLE: [&str; 2] = ["documented/sentiment-lstm", "documented/sentiment-gru"];

/// The device, held open for the whole test, so that each Session finds it open.
fn device() -> Option<Arc<GpuDevice>> {
    let opened = GpuDevice::shared();
    let required = std::env::var("SEQFUSE_REQUIRE_GPU").is_ok_and(|value| value == "1");
    if let Err(error) = &opened {
        eprintln!("SKIPPED: no GPU adapter for Keras's models: {error}");
        assert!(!required, "SEQFUSE_REQUIRE_GPU=1, and there is no GPU adapter");
    }
    opened.ok()
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

/// Whether the GPU runs the case; `Err` if it gives something else than the CPU.
fn check(case: &Value, name: &str) -> Result<bool, String> {
    let file = root().join("tests/fixtures").join(name);
    let arrays = npz::read(&file.with_added_extension("npz"));
    // What cannot be read, or not run on the CPU, is the matter of other tests.
    let Ok(model) = Model::open(file.with_added_extension("keras")) else { return Ok(false) };
    let Ok(mut cpu) = session(&model, Device::Cpu) else { return Ok(false) };
    let mut gpu = match session(&model, Device::Gpu) {
        Ok(session) => session,
        Err(RunError::Unsupported { device: "gpu", .. }) => return Ok(false),
        Err(error) => return Err(error.to_string()),
    };
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
            (Err(a), Err(b)) if a.to_string() == b.to_string() => return Ok(false),
            (a, b) => return Err(format!("{:?}, on the CPU {:?}", a.err(), b.err())),
        };
        for ((output, found), (_, expected)) in found.iter().zip(expected.iter()) {
            if let Some(problem) = difference(found, expected) {
                return Err(format!("output{suffix} {output}: {problem}"));
            }
        }
    }
    Ok(true)
}

#[test]
fn every_fixture_gives_what_the_cpu_gives_or_is_refused_by_name() {
    let Some(_device) = device() else { return };
    let (mut run, mut failed) = (Vec::new(), Vec::new());
    for case in all() {
        let part = |key: &str| case[key].as_str().expect("text").to_owned();
        let name = format!("{}/{}", part("family"), part("name"));
        match check(&case, &name) {
            Ok(true) => run.push(name),
            Ok(false) => {}
            Err(problem) => failed.push(format!("{name}: {problem}")),
        }
    }
    println!("{} cases ran on the GPU: {}", run.len(), run.join(", "));
    assert!(failed.is_empty(), "{} cases:\n{}", failed.len(), failed.join("\n"));
    for name in WHOLE {
        assert!(run.iter().any(|ran| ran == name), "{name} must run on the GPU");
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
