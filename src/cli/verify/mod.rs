//! `seqfuse verify`: a model's numbers against others.

mod compare;
mod expected;
#[cfg(feature = "ort")]
mod ort;
mod reference;

use std::path::PathBuf;

use clap::Args;

use super::common::{DeviceArgs, ModelArgs};
use super::error::CliError;
use super::output;
use compare::{Report, Tolerance};

/// Compare a model's results with those in a file, with the plain reference kernels, or with ONNX
/// Runtime's
///
/// A file is an .npz with inputs and expected outputs: under their names, or as in/NAME and out/NAME
/// or out/0, out/1, …; layer/NAME is a layer's output, and in@2/…, out@2/… are a second call.
///
/// A value matches if it is within atol + rtol * |expected|; NaN matches NaN.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  seqfuse verify model.keras --against keras-outputs.npz
  seqfuse verify model.keras --against reference --nodes
  ORT_DYLIB_PATH=libonnxruntime.so seqfuse verify model.onnx --against ort --nodes")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// What to compare with: an .npz, `reference` for the plain kernels, or `ort` for ONNX Runtime, in
    /// builds with the feature `ort`
    #[arg(long, value_name = "FILE.npz|reference|ort")]
    against: PathBuf,
    /// Inputs to run on [with `reference` and `ort`: random ones]
    #[arg(long, value_name = "FILE.npz|.npy|.csv|.jsonl")]
    input: Option<PathBuf>,
    /// Compare every layer's output (with `reference`), or every value of the main graph up to the first
    /// that differs, with --rtol of each one's largest element (with `ort`)
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
    if against == "tract" {
        let what = "`--against tract` is not built yet; use `reference`, `ort` or an .npz";
        return Err(CliError::usage(what));
    }
    #[cfg(not(feature = "ort"))]
    if against == "ort" {
        let what = "this build cannot load ONNX Runtime; build it with `--features ort`";
        return Err(CliError::usage(what));
    }
    let report = match against {
        "reference" => reference::compare(args, tolerance)?,
        #[cfg(feature = "ort")]
        "ort" => ort::compare(args, tolerance)?,
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
