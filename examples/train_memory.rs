//! What memory a training step takes: what `docs/training.md` says, what the buffers of the step
//! hold, and how far the process grows.
//!
//! `cargo run --release --example train_memory`
//!
//! Each layer is trained for two batches at two lengths of the sequence; the growth from one to the
//! other, divided by rows, steps and units, is the memory that a step of the sequence costs.

use seqfuse::train::{Dataset, TrainConfig};
use seqfuse::{Format, Model, Options, Tensor};
use serde_json::{Value, json};

const BATCH: usize = 64;
const UNITS: usize = 128;
const FEATURES: usize = 8;
const SHORT: usize = 100;
const LONG: usize = 400;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let units = |class: &str, more: Value| {
        let mut config = json!({"units": UNITS});
        if let (Some(config), Some(more)) = (config.as_object_mut(), more.as_object()) {
            config.extend(more.clone());
        }
        vec![json!({"class_name": class, "config": config})]
    };
    let sequences = || json!({"return_sequences": true});
    let twice = |class: &str| [units(class, sequences()), units(class, json!({}))].concat();
    let attention = vec![json!({"class_name": "Dense", "config": {"units": UNITS}})];
    // Bytes by row, step and unit, as docs/training.md derives them.
    let cases = [
        ("LSTM", units("LSTM", json!({})), 16 + 8 + 16),
        ("GRU", units("GRU", json!({})), 12 + 8 + 12),
        ("GRU, reset_after=false", units("GRU", json!({"reset_after": false})), 12 + 4 + 12),
        ("SimpleRNN", units("SimpleRNN", json!({})), 4 + 4 + 4),
        ("LSTM twice", twice("LSTM"), (16 + 8 + 4) + (16 + 8) + 16),
        ("GRU twice", twice("GRU"), (12 + 8 + 4) + (12 + 8) + 12),
        ("Dense, then the mean", attention, 4),
    ];
    println!("bytes by row, step and unit (batch {BATCH}, {UNITS} units)");
    println!("{:<24}{:>10}{:>10}{:>12}", "layers", "docs", "buffers", "process");
    for (name, layers, documented) in cases {
        let (short, _) = step_memory(&layers, SHORT)?;
        let before = resident();
        let (long, after) = step_memory(&layers, LONG)?;
        let values = (BATCH * UNITS * (LONG - SHORT)) as f64;
        let buffers = (long - short) as f64 / values;
        let process = match (before, after) {
            (Some(before), Some(after)) => {
                let whole = (BATCH * UNITS * LONG) as f64;
                format!("{:.1}", (after as f64 - before as f64) / whole)
            }
            _ => "?".to_owned(),
        };
        println!("{name:<24}{documented:>10}{buffers:>10.1}{process:>12}");
    }
    Ok(())
}

/// The bytes of a step's buffers, and of the process while they are there.
fn step_memory(
    layers: &[Value],
    length: usize,
) -> Result<(usize, Option<usize>), Box<dyn std::error::Error>> {
    let input =
        json!({"class_name": "InputLayer", "config": {"batch_shape": [null, length, FEATURES]}});
    let mut all = vec![input];
    all.extend_from_slice(layers);
    if layers[0]["class_name"] == "Dense" {
        all.push(json!({"class_name": "GlobalAveragePooling1D", "config": {}}));
    }
    all.push(json!({"class_name": "Dense", "config": {"units": 1}}));
    let description = json!({
        "class_name": "Sequential",
        "config": {"layers": all},
        "compile_config": {"optimizer": "sgd", "loss": "mean_squared_error"},
    });
    let model = Model::from_bytes(description.to_string().as_bytes(), Format::Description)?;
    let x =
        Tensor::new([2 * BATCH, length, FEATURES], vec![0.5f32; 2 * BATCH * length * FEATURES])?;
    let y = Tensor::new([2 * BATCH, 1], vec![1f32; 2 * BATCH])?;
    let data = Dataset::new([("x", x)].into(), [("y", y)].into())?;
    let config = TrainConfig::new().batch_size(BATCH).epochs(1).options(Options::new().threads(2));
    let peak = std::rc::Rc::new(std::cell::Cell::new(None));
    let seen = peak.clone();
    let look = seqfuse::train::callback::LambdaCallback::new().on_batch_end(move |_, _, _| {
        seen.set(resident());
        Ok(())
    });
    let mut trainer = model.trainer(&config)?.callback(look);
    trainer.fit(&data)?;
    Ok((trainer.step_memory(), peak.get()))
}

/// The bytes of this process that are in memory, where the system tells.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
}
