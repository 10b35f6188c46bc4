//! Times the runs of models that compute the same, in turn.
//!
//! `cargo run --release --example run_speed -- INPUTS.npz RUNS THREADS MODEL...`
//!
//! INPUTS.npz holds an array for each input under its name. Every model gets a Session; then all run
//! once each, RUNS times over, so that what else the machine does meets all of them alike. Prints one
//! line of JSON: by model the median and the fastest run in milliseconds, and how far its first output
//! is from that of the first model at most.

use std::time::Instant;

use seqfuse::formats::npz;
use seqfuse::{Model, Options, Session, Tensors};

/// Runs that are not timed: they plan, and touch memory for the first time.
const WARM_UP: usize = 5;

/// A model that is timed.
struct Side {
    session: Session,
    outputs: Tensors,
    taken: Vec<f64>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [inputs, runs, threads, models @ ..] = given.as_slice() else {
        return Err("usage: run_speed INPUTS.npz RUNS THREADS MODEL...".into());
    };
    let (runs, threads): (usize, usize) = (runs.parse()?, threads.parse()?);
    let inputs = npz::read_npz(&std::fs::read(inputs)?)?;
    let mut sides = Vec::new();
    for path in models {
        let session = Model::open(path)?.session(&Options::new().threads(threads))?;
        sides.push(Side { session, outputs: Tensors::new(), taken: Vec::with_capacity(runs) });
    }
    for run in 0..WARM_UP + runs.max(1) {
        for side in &mut sides {
            let began = Instant::now();
            side.session.run_into(&inputs, &mut side.outputs)?;
            if run >= WARM_UP {
                side.taken.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let first = first_output(&sides[0]).to_vec();
    let mut rows = Vec::new();
    for (path, side) in models.iter().zip(&mut sides) {
        let own = first_output(side);
        if own.len() != first.len() {
            return Err(format!("{path} gives {} numbers, not {}", own.len(), first.len()).into());
        }
        let apart = own.iter().zip(&first).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        side.taken.sort_unstable_by(f64::total_cmp);
        rows.push(serde_json::json!({
            "model": path,
            "median_ms": side.taken[side.taken.len() / 2],
            "fastest_ms": side.taken[0],
            "apart": apart,
        }));
    }
    println!("{}", serde_json::Value::from(rows));
    Ok(())
}

fn first_output(side: &Side) -> &[f32] {
    side.outputs.at(0).and_then(|(_, tensor)| tensor.as_f32()).unwrap_or(&[])
}
