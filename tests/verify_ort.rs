//! `seqfuse verify --against ort`, with ONNX Runtime's library as `ORT_DYLIB_PATH` names it; without one
//! the tests are SKIPPED. They are there in builds with the feature `ort`.
#![cfg(feature = "ort")]

mod common;

use std::path::Path;

use common::command::{Place, arrays, done, floats, refused};
use seqfuse::{Tensor, Tensors};

/// Whether ONNX Runtime is there, or a loud note that it is not.
fn has_runtime() -> bool {
    let found = std::env::var_os("ORT_DYLIB_PATH").is_some();
    if !found {
        eprintln!("SKIPPED: ORT_DYLIB_PATH names no library of ONNX Runtime");
    }
    found
}

/// Compares outputs, then values.
fn check(model: &str, more: &[&str]) {
    let arguments = [&["verify", model, "--against", "ort", "--threads", "1"], more].concat();
    let table = done(&arguments);
    assert!(table.contains("match"), "{model}: {table}");
    let table = done(&[&arguments[..], &["--nodes"]].concat());
    assert!(table.contains("match") && !table.contains("All 0"), "{model}: {table}");
}

#[test]
fn fixtures_give_what_onnx_runtime_gives() {
    if !has_runtime() {
        return;
    }
    let models = [
        "keras/recurrent_gru_default",
        "keras/recurrent_gru_reset_before",
        "keras/recurrent_gru_mask",
        "keras/documented_sentiment-gru",
        "torch/lstm_bidirectional_script",
        "torch/lstm_batch_first_dynamo",
        "torch/encoder_fixed_script",
    ];
    for model in models {
        check(&format!("tests/fixtures/onnx/{model}.onnx"), &[]);
    }
}

/// A package of tools/data/fetch.py, or a loud note that it is not there.
fn fetched(file: &str) -> Option<String> {
    let path = format!("tools/data/cache/{file}");
    if Path::new(env!("CARGO_MANIFEST_DIR")).join(&path).exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {file} is not fetched: python3 tools/data/fetch.py");
    None
}

#[test]
fn silero_vad_gives_what_onnx_runtime_gives_at_both_rates() {
    let Some(model) = fetched("silero-vad/silero_vad.onnx") else { return };
    if !has_runtime() {
        return;
    }
    let place = Place::new();
    for (rate, samples) in [(16000i64, 576), (8000, 288)] {
        let signal = floats(&[1, samples], |at| (at as f32 * 0.31).sin() * 0.2);
        let given = Tensors::new()
            .with("input", signal)
            .with("state", floats(&[2, 1, 128], |_| 0.0))
            .with("sr", Tensor::scalar(rate));
        let input = arrays(&place, "in.npz", given);
        check(&model, &["--input", &input]);
    }
}

#[test]
fn magika_gives_what_onnx_runtime_gives() {
    let Some(model) = fetched("magika/model.onnx") else { return };
    if has_runtime() {
        done(&["verify", &model, "--against", "ort"]);
    }
}

#[test]
fn what_onnx_runtime_cannot_read_is_refused() {
    if !has_runtime() {
        return;
    }
    let said = refused(2, &["verify", "models/tiny-lstm.json", "--against", "ort"]);
    assert!(said.contains(".onnx"), "{said}");
}
