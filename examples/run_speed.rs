//! Times the runs of models that compute the same, in turn.
//!
//! `cargo run --release --example run_speed -- INPUTS.npz RUNS THREADS [--device cpu|gpu] MODEL...`
//!
//! INPUTS.npz holds an array for each input under its name. Every model gets a Session; then all run
//! once each, RUNS times over, so that what else the machine does meets all of them alike. Prints one
//! line of JSON: by model the device's name, the median and the fastest run in milliseconds, how many
//! stages the GPU left to the CPU, and how far its first output is from that of the first model at most.
//! `--device`, which is `cpu` at first, holds for the models after it: one model may stand there for both.

use std::time::Instant;

use seqfuse::formats::npz;
use seqfuse::{Device, Model, Options, Session, Tensors};

/// Runs that are not timed: they plan, and touch memory for the first time.
const WARM_UP: usize = 5;

/// A model that is timed.
struct Side {
    path: String,
    device: String,
    session: Session,
    outputs: Tensors,
    taken: Vec<f64>,
}

impl Side {
    fn new(path: &str, device: Device, threads: usize) -> Result<Side, Box<dyn std::error::Error>> {
        let options = Options::new().threads(threads).device(device);
        let session = Model::open(path)?.session(&options)?;
        let device = match device {
            Device::Gpu => gpu_name()?,
            _ => format!("CPU, {threads} threads"),
        };
        let (path, outputs, taken) = (path.to_owned(), Tensors::new(), Vec::new());
        Ok(Side { path, device, session, outputs, taken })
    }

    fn first_output(&self) -> &[f32] {
        self.outputs.at(0).and_then(|(_, tensor)| tensor.as_f32()).unwrap_or(&[])
    }
}

#[cfg(feature = "gpu")]
fn gpu_name() -> Result<String, Box<dyn std::error::Error>> {
    let device = seqfuse::runtime::gpu::GpuDevice::shared()?;
    let info = device.info();
    Ok(format!("{} ({}, {})", info.name, info.kind, info.backend))
}

#[cfg(not(feature = "gpu"))]
fn gpu_name() -> Result<String, Box<dyn std::error::Error>> {
    Err("this build has no GPU runtime".into())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [inputs, runs, threads, models @ ..] = given.as_slice() else {
        return Err("usage: run_speed INPUTS.npz RUNS THREADS [--device cpu|gpu] MODEL...".into());
    };
    let (runs, threads): (usize, usize) = (runs.parse()?, threads.parse()?);
    let inputs = npz::read_npz(&std::fs::read(inputs)?)?;
    let (mut sides, mut device) = (Vec::new(), Device::Cpu);
    let mut models = models.iter();
    while let Some(argument) = models.next() {
        match argument.as_str() {
            "--device" => {
                device = match models.next().map(String::as_str) {
                    Some("cpu") => Device::Cpu,
                    Some("gpu") => Device::Gpu,
                    _ => return Err("--device is cpu or gpu".into()),
                }
            }
            path => sides.push(Side::new(path, device, threads)?),
        }
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
    println!("{}", report(&mut sides)?);
    Ok(())
}

fn report(sides: &mut [Side]) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let first = sides.first().map_or(Vec::new(), |side| side.first_output().to_vec());
    let mut rows = Vec::new();
    for side in sides {
        let own = side.first_output();
        if own.len() != first.len() {
            let (path, own, first) = (&side.path, own.len(), first.len());
            return Err(format!("{path} gives {own} numbers, not {first}").into());
        }
        let apart = own.iter().zip(&first).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        side.taken.sort_unstable_by(f64::total_cmp);
        rows.push(serde_json::json!({
            "model": side.path,
            "device": side.device,
            "median_ms": side.taken[side.taken.len() / 2],
            "fastest_ms": side.taken[0],
            "moved_stages": side.session.moved_stages(),
            "apart": apart,
        }));
    }
    Ok(rows.into())
}
