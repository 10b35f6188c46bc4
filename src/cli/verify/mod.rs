//! `seqfuse verify`: a model's numbers against others.

mod compare;
mod expected;
mod reference;

use std::path::PathBuf;

use clap::Args;

use super::common::{DeviceArgs, ModelArgs};
use super::error::CliError;
use super::output;
use compare::{Report, Tolerance};

/// Compare a model's results with those in a file, or with the plain reference kernels
///
/// A file is an .npz with inputs and expected outputs: under their names, or as in/NAME and out/NAME
/// or out/0, out/1, …; layer/NAME is a layer's output, and in@2/…, out@2/… are a second call.
///
/// A value matches if it is within atol + rtol * |expected|; NaN matches NaN.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  seqfuse verify model.keras --against keras-outputs.npz
  seqfuse verify model.keras --against reference --nodes")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// What to compare with: an .npz, or `reference` for the plain kernels
    #[arg(long, value_name = "FILE.npz|reference")]
    against: PathBuf,
    /// Inputs to run on [with `reference`: random ones]
    #[arg(long, value_name = "FILE.npz|.npy|.csv|.jsonl")]
    input: Option<PathBuf>,
    /// Compare every layer's output (with `reference`)
    #[arg(long)]
    nodes: bool,
    /// The relative tolerance
    #[arg(long, value_name = "R", default_value_t = 1e-5, value_parser = tolerance)]
    rtol: f64,
    /// The absolute tolerance
    #[arg(long, value_name = "A", default_value_t = 1e-5, value_parser = tolerance)]
    atol: f64,
    #[command(flatten)]
    device: DeviceArgs,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected a number from 0 on, such as 1e-5".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(args: &VerifyArgs) -> Result<(), CliError> {
    let tolerance = Tolerance { relative: args.rtol, absolute: args.atol };
    let against = args.against.to_str().unwrap_or("");
    if matches!(against, "ort" | "tract") {
        let what = format!("`--against {against}` is not built yet; use `reference` or an .npz");
        return Err(CliError::usage(what));
    }
    let report = match against {
        "reference" => reference::compare(args, tolerance)?,
        _ if args.nodes => {
            let what = "--nodes goes with `--against reference`; in a file, name layers layer/NAME";
            return Err(CliError::usage(what));
        }
        _ => expected::compare(args, tolerance)?,
    };
    finish(&report)
}

fn finish(report: &Report) -> Result<(), CliError> {
    output::print(&report.render())?;
    match report.first_mismatch() {
        Some(mismatch) => Err(CliError::failed(mismatch)),
        None => Ok(()),
    }
}
