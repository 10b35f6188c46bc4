//! `seqfuse convert`: a model from one file format to another.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use super::common::{self, LabelsArgs, ModelArgs};
use super::error::CliError;
use super::output::{self, OutputFile};
use crate::graph::VariableId;
use crate::{Format, Model};

/// Write a model in another file format
///
/// Formats are told by extension. A round trip keeps weights, the optimizer's state, compile
/// settings, vocabularies and names of classes; a .json description holds no weights. What a format has no place for
/// is said on standard error. A model that comes from ONNX goes to .safetensors alone, with its graph.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  seqfuse convert models/sentiment.keras sentiment.safetensors
  seqfuse convert untrained.h5 model.keras --vocabulary tokens.txt")]
pub(super) struct ConvertArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    labels: LabelsArgs,
    /// The file to write: .keras, .h5, .safetensors or .json
    #[arg(value_name = "OUT")]
    output: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: &ConvertArgs) -> Result<(), CliError> {
    let format = format(&args.output)?;
    let file = OutputFile::create(&args.output)?;
    let mut model = args.model.open()?;
    if let Some(labels) = args.labels.read()? {
        model = model.with_labels(&labels)?;
    }
    let written = model.to_bytes(format).map_err(|error| {
        let error: &dyn std::error::Error = &error;
        let failed = CliError::failed(error.to_string());
        match error.source() {
            Some(source) => failed.caused_by(source),
            None => failed,
        }
        .within(args.output.display())
    })?;
    file.write(&written.bytes)?;
    if format != Format::Description {
        common::note_untrained(&args.model.model);
    }
    for line in &written.left_out {
        eprintln!("note: {}: {line}", args.output.display());
    }
    match std::io::stdout().is_terminal() {
        true => output::print(&summary(&model, &args.output, written.bytes.len())),
        false => Ok(()),
    }
}

/// The format that the output's extension names.
pub(super) fn format(path: &Path) -> Result<Format, CliError> {
    // Keras reads such a name as weights alone, in a layout that is not written.
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    if name.to_ascii_lowercase().ends_with(".weights.h5") {
        let what = "weights alone cannot be written; a name in .h5 without .weights takes the whole \
                    model, from which Keras's load_weights reads them too";
        return Err(CliError::usage(format!("{}: {what}", path.display())));
    }
    match Format::of(path) {
        Ok(Format::Onnx) => {
            let what = "writing .onnx is not built yet; use .safetensors, .keras or .h5";
            Err(CliError::usage(format!("{}: {what}", path.display())))
        }
        Ok(format) => Ok(format),
        Err(_) => Err(CliError::usage(format!(
            "{}: formats are told by extension; use .keras, .h5, .safetensors or .json",
            path.display()
        ))),
    }
}

/// What was written, in one line.
fn summary(model: &Model, path: &Path, bytes: usize) -> String {
    let graph = model.graph();
    let layers = graph.layers().len();
    let all = || (0..graph.variables().len()).map(VariableId).collect();
    // What is written of a Keras model are the Variables that Keras saves.
    let saved: Vec<VariableId> = model.document().map_or_else(all, |document| {
        document.variables.iter().map(|saved| saved.variable).collect()
    });
    let parameters: usize = saved.iter().map(|id| graph.variable(*id).value.len()).sum();
    format!("{}: {layers} layers, {parameters} parameters, {bytes} bytes\n", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_not_there_are_refused_by_name() {
        assert!(format(Path::new("a.onnx")).unwrap_err().text().contains(".onnx"));
        let other = format(Path::new("a.pt")).unwrap_err();
        assert!(other.text().contains(".safetensors") && other.exit() == 2);
        let weights = format(Path::new("a.weights.h5")).unwrap_err();
        assert!(weights.text().contains("weights alone") && weights.exit() == 2);
        assert_eq!(format(Path::new("A.H5")).unwrap(), Format::Hdf5);
    }
}
