//! The command line: one file a subcommand.

mod batches;
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
mod output;
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
    Devices(devices::DevicesArgs),
}

/// The `seqfuse` command: reads the arguments of the process, does what they say and tells how it
/// went. Exit code 0: done; 1: failed or did not match; 2: wrong usage.
pub fn main() -> ExitCode {
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
        Command::Devices(args) => devices::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
