//! What memory a training step takes: what `docs/training.md` says, what the buffers of the step
//! hold, and how far the process grows.
//!
//! `cargo run --release --example train_memory`
//!
//! Each layer is trained for two batches at two lengths of the sequence, in a process of its own; the
//! growth from one to the other, divided by rows, steps and units, is what a step of the sequence
//! costs. What the data themselves take is in the growth of the process.

use seqfuse::train::{Dataset, TrainConfig};
use seqfuse::{Format, Model, Options, Tensor};
use serde_json::{Value, json};

const BATCH: usize = 64;
const UNITS: usize = 128;
const FEATURES: usize = 8;
const SHORT: usize = 100;
const LONG: usize = 400;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cases = cases();
    // A process of its own for each run, so that none grows into what another gave back.
    if let [_, case, length] = &std::env::args().collect::<Vec<_>>()[..] {
        let (_, layers, _) = cases.get(case.parse::<usize>()?).ok_or("there is no such case")?;
        let (buffers, process) = step_memory(layers, length.parse()?)?;
        println!("{buffers} {process}");
        return Ok(());
    }
    println!("bytes by row, step and unit (batch {BATCH}, {UNITS} units)");
    println!("{:<26}{:>8}{:>10}{:>10}", "layers", "docs", "buffers", "process");
    for (index, (name, _, documented)) in cases.iter().enumerate() {
        let values = (BATCH * UNITS * (LONG - SHORT)) as f64;
        let (short, long) = (in_process(index, SHORT)?, in_process(index, LONG)?);
        let [buffers, process] = [0, 1].map(|part| (long[part] - short[part]) / values);
        println!("{name:<26}{documented:>8}{buffers:>10.1}{process:>10.1}");
    }
    Ok(())
}

/// A name, layers, and bytes by row, step and unit as docs/training.md derives them.
type Case = (&'static str, Vec<Value>, usize);

fn cases() -> [Case; 7] {
    let layer = |class: &str, more: Value| {
        let mut config = json!({"units": UNITS});
        if let (Some(config), Some(more)) = (config.as_object_mut(), more.as_object()) {
            config.extend(more.clone());
        }
        json!({"class_name": class, "config": config})
    };
    let one = |class: &str| vec![layer(class, json!({}))];
    let two = |class: &str| {
        vec![layer(class, json!({"return_sequences": true})), layer(class, json!({}))]
    };
    let mean = json!({"class_name": "GlobalAveragePooling1D", "config": {}});
    [
        ("LSTM", one("LSTM"), 16 + 8 + 16),
        ("GRU", one("GRU"), 12 + 8 + 12 + 4),
        (
            "GRU, reset_after=False",
            vec![layer("GRU", json!({"reset_after": false}))],
            12 + 4 + 12 + 4,
        ),
        ("SimpleRNN", one("SimpleRNN"), 4 + 4 + 4),
        ("LSTM twice", two("LSTM"), (16 + 8 + 4) + (16 + 8) + 16),
        ("GRU twice", two("GRU"), (12 + 8 + 4) + (12 + 8) + 12 + 4),
        ("Dense, then the mean", vec![layer("Dense", json!({})), mean], 4 + 4),
    ]
}

/// The bytes of a step's buffers and of the process that took it.
fn in_process(case: usize, length: usize) -> Result<[f64; 2], Box<dyn std::error::Error>> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let output = command.args([case.to_string(), length.to_string()]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|part| part.parse().ok()).collect();
    <[f64; 2]>::try_from(numbers)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// The bytes of a step's buffers, and of the process while they are there.
fn step_memory(
    layers: &[Value],
    length: usize,
) -> Result<(usize, usize), Box<dyn std::error::Error>> {
    let input =
        json!({"class_name": "InputLayer", "config": {"batch_shape": [null, length, FEATURES]}});
    let mut all = vec![input];
    all.extend_from_slice(layers);
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
    let peak = std::rc::Rc::new(std::cell::Cell::new(0));
    let seen = peak.clone();
    let look = seqfuse::train::callback::LambdaCallback::new().on_batch_end(move |_, _, _| {
        seen.set(resident().unwrap_or(0));
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
