//! `seqfuse inspect`: what a model is made of.

mod compiled;
mod layers;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::common::{DeviceChoice, ModelArgs};
use super::error::CliError;
use super::output::{self, OutputFile};
use super::{run, sizes};

/// Show a model's layers, shapes and parameters
///
/// Sizes that the model leaves open are None, as in Keras's summary; --batch and --length put
/// numbers in their place.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  seqfuse inspect models/sentiment-lstm.json
  seqfuse inspect model.keras --compiled --batch 32 --length 200")]
pub(super) struct InspectArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The form of the answer: table or json
    #[arg(long, default_value = "table", value_parser = format)]
    format: InspectFormat,
    /// Show the graph that runs, its stages, and what they take in memory and work
    #[arg(long)]
    compiled: bool,
    /// With --compiled, the device whose stages are shown [default: cpu]; auto says what it takes
    /// for these sizes, and why
    #[arg(long, value_enum, requires = "compiled")]
    device: Option<DeviceChoice>,
    /// The rows to work out shapes for [with --compiled: 1]
    #[arg(long, value_name = "N", value_parser = run::positive)]
    batch: Option<usize>,
    /// The length of sequences to work out shapes for
    #[arg(long, value_name = "T", value_parser = run::positive)]
    length: Option<usize>,
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InspectFormat {
    Table,
    Json,
}

fn format(name: &str) -> Result<InspectFormat, String> {
    match name {
        "dot" | "svg" | "html" => Err(format!("`{name}` is not built yet; use table or json")),
        _ => InspectFormat::from_str(name, false).map_err(|_| "use table or json".to_owned()),
    }
}

/// Runs the command.
pub(super) fn run(args: &InspectArgs) -> Result<(), CliError> {
    let file = args.output.as_deref().map(OutputFile::create).transpose()?;
    let model = args.model.open()?;
    let graph = model.graph();
    // A compiled model has numbers for all sizes.
    let batch = match (args.batch, args.compiled) {
        (None, true) => sizes::batch_symbol(graph).map(|_| 1),
        (batch, _) => batch,
    };
    let bindings = sizes::bind(graph, batch, args.length)?;
    let summary = layers::Summary::of(graph, &bindings);
    let compiled = match args.compiled {
        true => Some(compiled::Compiled::of(graph, &bindings, args.device)?),
        false => None,
    };
    let text = match args.format {
        InspectFormat::Table => {
            summary.render() + &compiled.map_or(String::new(), |compiled| compiled.render())
        }
        InspectFormat::Json => {
            let mut object = json!(summary);
            if let (Some(compiled), Some(object)) = (compiled, object.as_object_mut()) {
                object.insert("compiled".to_owned(), json!(compiled));
            }
            serde_json::to_string_pretty(&object)? + "\n"
        }
    };
    match file {
        Some(file) => file.write(text.as_bytes()),
        None => output::print(&text),
    }
}
