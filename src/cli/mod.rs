//! The command line: one file a subcommand.

mod batches;
mod bench;
mod carry;
mod common;
mod convert;
mod devices;
mod error;
mod evaluate;
mod inputs;
mod inspect;
mod json;
mod later;
#[cfg(feature = "ort")]
mod onnx_runtime;
mod output;
mod random;
mod run;
mod show;
mod sizes;
mod table;
mod train;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The width that tables and results keep to.
const COLUMNS: usize = 80;

/// Trains and runs sequence models: reads Keras files, fuses their layers into CPU and GPU kernels.
#[derive(Debug, Parser)]
#[command(name = "seqfuse", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Example:\n  seqfuse run models/sentiment.keras --text \"a wonderful film\""
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Inspect(inspect::InspectArgs),
    Convert(convert::ConvertArgs),
    Verify(verify::VerifyArgs),
    Train(Box<train::TrainArgs>),
    Evaluate(evaluate::EvaluateArgs),
    Bench(bench::BenchArgs),
    Devices(devices::DevicesArgs),
}

/// Lets a write beyond the limit of a file's size (`ulimit -f`) fail as one to a full disk does: the
/// signal that comes with it would end the process with no word, and leave half a file.
fn outlive_limits() {
    #[cfg(unix)]
    {
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        // A system without the signal has no such limit.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, seen);
    }
}

/// The `seqfuse` command: reads the arguments of the process, does what they say and tells how it
/// went. Exit code 0: done; 1: failed or did not match; 2: wrong usage.
pub fn main() -> ExitCode {
    outlive_limits();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return later::refuse(&error),
    };
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Devices(args) => devices::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
