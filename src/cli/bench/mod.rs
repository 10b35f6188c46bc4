//! `seqfuse bench`: how fast a model runs or trains, beside what the machine can do.

mod against;
mod machine;
mod measure;
mod report;
mod training;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use seqfuse_kernels::Isa;

use self::machine::Machine;
use self::measure::Times;
use self::report::{Peer, Report};
use super::common::{self, DeviceArgs, DeviceChoice, ModelArgs};
use super::error::CliError;
use super::output;
use super::run::positive;
use super::{inputs, random, sizes};
use crate::Model;
use crate::graph::{Bindings, Dim, DimError, Work};
use crate::passes;
use crate::runtime::Tensors;

/// Time a model, and say how near it comes to what the machine can do
///
/// Runs the model, or with --train whole steps of training, on random inputs again and again, after a
/// first few runs that plan and touch memory. Prints the median beside the work that the model's
/// products take (2 FLOP for each multiply-add of matrix products and convolutions, nothing else),
/// the bytes of weights that they read (recurrent ones once a step and block of 8 rows, of tables the
/// rows that are looked up, others once), and the limit of the machine, measured in the same call:
/// the larger of FLOP by the rate of multiply-adds and bytes by the rate of reads from the smallest
/// cache that holds the weights, on all threads.
///
/// Figures of different calls drift with what else the machine does; peers named by --against run in
/// turn with seqfuse in the same call.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  seqfuse bench models/sentiment-lstm.json --batch 32
  seqfuse bench model.keras --train --batch 64 --json
  ORT_DYLIB_PATH=libonnxruntime.so seqfuse bench model.onnx --length 100 --against ort")]
pub(super) struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Rows that run at once [default: 1, with --train 32]
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "input")]
    batch: Option<usize>,
    /// The length of sequences, where the model leaves it open [default: 100]
    #[arg(long, value_name = "T", value_parser = positive, conflicts_with = "input")]
    length: Option<usize>,
    /// Arrays to run on instead of random ones
    #[arg(long, value_name = "FILE.npz|.npy|.csv|.jsonl", conflicts_with = "train")]
    input: Option<PathBuf>,
    /// Time whole steps of training, with what the model was compiled with
    #[arg(long)]
    train: bool,
    /// The loss in place of the model's own
    #[arg(long, value_name = "NAME", requires = "train")]
    loss: Option<String>,
    /// The optimizer in place of the model's own
    #[arg(long, value_name = "NAME", requires = "train")]
    optimizer: Option<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Peers that run the same model in turn: `ort` for ONNX Runtime, in builds with the feature
    /// `ort`, of .onnx models
    #[arg(long, value_name = "PEER,…", value_delimiter = ',', conflicts_with = "train")]
    against: Vec<String>,
    /// How long each side is timed; there are 7 runs in any case
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = seconds)]
    seconds: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A time that can be waited for.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=86_400.0).contains(&number) => Ok(number),
        _ => Err("expected seconds, from 0 to 86400".to_owned()),
    }
}

/// The length of sequences where neither model nor user says one.
const LENGTH: usize = 100;
/// The batch of training where the user says none: Keras's.
const TRAINING_BATCH: usize = 32;

/// Runs the command.
pub(super) fn run(args: &BenchArgs) -> Result<(), CliError> {
    check_peers(args)?;
    let model = args.model.open()?;
    common::note_untrained(&args.model.model);
    let sized = Sized::of(args, &model)?;
    let (times, work, peers) = match args.train {
        true => {
            let (times, work) = training::measure(args, &model, &sized)?;
            (times, work, Vec::new())
        }
        false => infer(args, &model, &sized)?,
    };
    // The limits are those of the processor.
    let machine = match args.device.device {
        DeviceChoice::Gpu => None,
        DeviceChoice::Auto | DeviceChoice::Cpu => {
            Some(Machine::measure(Isa::detect(), args.threads()))
        }
    };
    let report = Report {
        model: args.model.model.display().to_string(),
        train: args.train,
        batch: sized.batch,
        length: sized.length,
        device: device_name(args),
        threads: args.threads(),
        times,
        work: work.ok(),
        machine,
        peers,
    };
    output::print(&if args.json { report.json()? } else { report.render() })
}

fn device_name(args: &BenchArgs) -> &'static str {
    match args.device.device {
        DeviceChoice::Gpu => "gpu",
        // What runs best is the processor, today for every model.
        DeviceChoice::Auto | DeviceChoice::Cpu => "cpu",
    }
}

impl BenchArgs {
    /// How many threads run.
    fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.device.threads.map_or_else(all, usize::from)
    }

    /// How long a side is timed.
    fn budget(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

/// The sizes that a model is timed at.
struct Sized {
    /// Rows.
    batch: usize,
    /// Steps, where there is one number for them.
    length: Option<usize>,
    bindings: Bindings,
    /// What was given instead of random inputs.
    given: Option<Tensors>,
}

impl Sized {
    fn of(args: &BenchArgs, model: &Model) -> Result<Sized, CliError> {
        let graph = model.graph();
        if let Some(path) = &args.input {
            return Sized::of_inputs(model, inputs::read(path, graph)?);
        }
        let default = if args.train { TRAINING_BATCH } else { 1 };
        let (batch, length) = (args.batch.unwrap_or(default), args.length.unwrap_or(LENGTH));
        // Refuses what the model leaves no room for.
        sizes::bind(graph, args.batch, args.length)?;
        let bindings = sizes::of_all(graph, batch, length);
        Ok(Sized { given: None, ..Sized::with(model, bindings)? })
    }

    /// The sizes of arrays.
    fn of_inputs(model: &Model, given: Tensors) -> Result<Sized, CliError> {
        let mut bindings = Bindings::new();
        for input in model.graph().inputs() {
            let Some(tensor) = given.get(&input.name) else { continue };
            let dims = &model.graph().ty(input.value).dims;
            for (dim, &size) in dims.iter().zip(tensor.shape()) {
                if let Dim::Symbol(symbol) = dim {
                    bindings.bind(symbol, size);
                }
            }
        }
        Ok(Sized { given: Some(given), ..Sized::with(model, bindings)? })
    }

    fn with(model: &Model, bindings: Bindings) -> Result<Sized, CliError> {
        let graph = model.graph();
        let first = graph.inputs().first();
        let shape = match first {
            Some(input) => graph.ty(input.value).eval(&bindings)?,
            None => Vec::new(),
        };
        let batch = shape.first().copied().unwrap_or(1);
        Ok(Sized { batch, length: shape.get(1).copied(), bindings, given: None })
    }
}

/// What timing gives: the times, the work, and the peers' times.
type Measured = (Times, Result<Work, DimError>, Vec<Peer>);

fn infer(args: &BenchArgs, model: &Model, sized: &Sized) -> Result<Measured, CliError> {
    let given = match &sized.given {
        Some(given) => given.clone(),
        None => random::inputs(model.graph(), &sized.bindings)?,
    };
    let work = passes::prepare(model.graph())?.work(&sized.bindings);
    let mut session = model.session(&args.device.options())?;
    let mut outputs = Tensors::new();
    let mut own = || Ok(session.run_into(&given, &mut outputs)?);
    let (times, peers) = match args.against.is_empty() {
        true => (measure::alone(&mut own, args.budget())?, Vec::new()),
        false => against::measure(args, &given, &mut own)?,
    };
    Ok((times, work, peers))
}

/// Refuses peers that are not known or not in this build.
fn check_peers(args: &BenchArgs) -> Result<(), CliError> {
    for peer in &args.against {
        match peer.as_str() {
            "ort" if cfg!(feature = "ort") => {}
            "ort" => return Err(against::not_in_build()),
            "tract" => {
                let what = "`--against tract` is not built yet; there is `ort`, and tools/bench \
                            times other peers";
                return Err(CliError::usage(what));
            }
            other => {
                return Err(CliError::usage(format!(
                    "--against: `{other}` is not known; there is `ort`"
                )));
            }
        }
    }
    let is_onnx = args.model.model.extension().is_some_and(|end| end.eq_ignore_ascii_case("onnx"));
    match args.against.is_empty() || is_onnx {
        true => Ok(()),
        false => Err(CliError::usage(
            "`--against ort` times .onnx models; leave it out, or name the model's .onnx file",
        )),
    }
}
