//! `seqfuse run`: a model on inputs.

use std::path::PathBuf;

use clap::Args;

use super::batches::{self, Batches};
use super::common::{self, DeviceArgs, LabelsArgs, ModelArgs};
use super::error::CliError;
use super::output::{self, OutputFile};
use super::{carry, inputs, json, show};
use crate::Labels;
use crate::formats::npz;
use crate::graph::{DType, Graph};
use crate::runtime::{Profile, Session, Tensors};

/// Run a model on texts or arrays and print or keep what it gives
///
/// Arrays of an .npz go to the inputs of their names; where the names are not the model's and the
/// counts agree, in file order. Of a file to train on, `x` goes to a model's only input. A .csv or .tsv has an example a row, a .jsonl an example a line.
///
/// A classifier whose file names its classes prints the most probable one and its probability, and
/// keeps it as `labels/OUTPUT`; the output itself stays as the model gives it.
///
/// Rows run in batches of 32, as in Keras's predict, unless --batch-size says otherwise. A text
/// layer without a fixed length pads each batch to its longest text, so there the size of batches
/// can change results of models that do not mask padding; in Keras it does too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  seqfuse run sentiment.keras --text \"a wonderful film\" --text \"dull\"
  seqfuse run model.keras --input data.npz --output predictions.npz
  seqfuse run model.keras --input rows.csv --outputs lstm,dense --output -
  seqfuse run vad.onnx --input chunks.npz --carry stateN=state --output speech.npz")]
pub(super) struct RunArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// Where results are kept; `-` prints JSON. In JSON, NaN and infinities are null
    #[arg(long, value_name = "FILE.npz|.json|-")]
    output: Option<PathBuf>,
    /// Outputs to give instead of the model's: names of outputs or of layers
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    outputs: Vec<String>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Rows that run at once [default: 32]
    #[arg(long, value_name = "N", value_parser = positive)]
    batch_size: Option<usize>,
    #[command(flatten)]
    labels: LabelsArgs,
    /// Feed an output back as an input: one run for each entry of the first axis of the arrays named
    /// NAME@steps in the .npz; the input itself is that of the first run. May be repeated
    #[arg(long, value_name = "OUTPUT=INPUT", value_parser = carry::pair,
          conflicts_with_all = ["batch_size", "profile"])]
    carry: Vec<carry::Pair>,
    /// Keep how long each node took
    #[arg(long, value_name = "FILE.json")]
    profile: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SourceArgs {
    /// Arrays or rows to run on
    #[arg(long, value_name = "FILE.npz|.npy|.csv|.jsonl")]
    input: Option<PathBuf>,
    /// A text to run on; may be repeated
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    text: Vec<String>,
    /// Texts to run on, one a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
}

/// A number that is not zero.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}; expected a whole number from 1 on")),
    }
}

/// Where results go.
#[derive(Debug)]
enum Target {
    Terminal,
    Stdout,
    Npz(OutputFile),
    Json(OutputFile),
}

impl Target {
    fn of(path: Option<&PathBuf>) -> Result<Target, CliError> {
        let Some(path) = path else { return Ok(Target::Terminal) };
        if path.as_os_str() == "-" {
            return Ok(Target::Stdout);
        }
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "npz" => Ok(Target::Npz(OutputFile::create(path)?)),
            "json" => Ok(Target::Json(OutputFile::create(path)?)),
            _ => Err(CliError::usage(format!(
                "--output {}: results are written as .npz, as .json, or as JSON to `-`",
                path.display()
            ))),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &RunArgs) -> Result<(), CliError> {
    let target = Target::of(args.output.as_ref())?;
    let profile = args.profile.as_deref().map(OutputFile::create).transpose()?;
    let given = args.labels.read()?;
    let model = args.model.open()?;
    common::note_untrained(&args.model.model);
    let options = args.device.options().outputs(args.outputs.iter().cloned());
    if !args.carry.is_empty() {
        let mut session = model.session(&options)?;
        let outputs = carry::run(&mut session, &args.carry, args.source.input.as_deref())?;
        common::warn_of_fallback(&args.device, &session);
        return finish(target, outputs, None, &given.unwrap_or_default());
    }
    let inputs = args.source.read(model.graph())?;
    let runs = Batches::new(model.graph(), &inputs, args.batch_size).map_or(1, |all| all.count());
    let mut session = model.session(&options.expected_runs(runs))?;
    let mut runs = profile.as_ref().map(|_| Vec::new());
    let outputs = run_batches(&mut session, &inputs, args.batch_size, runs.as_mut())?;
    common::warn_of_fallback(&args.device, &session);
    if let (Some(file), Some(runs)) = (&profile, &runs) {
        file.write(profile_json(model.graph(), runs)?.as_bytes())?;
    }
    // The model's own names are for its own outputs; other ones may be asked for.
    let labels = match given {
        Some(given) => {
            show::check_labels(&outputs, &given)?;
            given
        }
        None => model.labels(),
    };
    finish(target, outputs, only_texts(&inputs), &labels)
}

/// Prints or keeps what the runs gave, beside the texts that it belongs to.
fn finish(
    target: Target,
    mut outputs: Tensors,
    texts: Option<&[String]>,
    labels: &Labels,
) -> Result<(), CliError> {
    if let Target::Terminal = target {
        return output::print(&show::render(&outputs, texts, labels));
    }
    add_labels(&mut outputs, labels);
    match target {
        Target::Terminal => Ok(()),
        Target::Stdout => output::print(&json::tensors(&outputs)),
        Target::Json(file) => file.write(json::tensors(&outputs).as_bytes()),
        Target::Npz(file) => file.write(&npz::write_npz(&outputs)?),
    }
}

impl SourceArgs {
    fn read(&self, graph: &Graph) -> Result<Tensors, CliError> {
        match (&self.input, &self.text_file) {
            (Some(path), _) => inputs::read(path, graph),
            (None, Some(path)) => inputs::texts(common::read_lines(path)?, graph)
                .map_err(|error| error.within(path.display())),
            (None, None) => inputs::texts(self.text.clone(), graph),
        }
    }
}

fn run_batches(
    session: &mut Session,
    inputs: &Tensors,
    size: Option<usize>,
    mut runs: Option<&mut Vec<Profile>>,
) -> Result<Tensors, CliError> {
    let batches = Batches::new(session.graph(), inputs, size)?;
    let count = batches.count();
    let bar = (count >= 8).then(|| progress(count));
    let mut outputs = Tensors::new();
    for index in 0..count {
        let batch = batches.get(index);
        let given = match runs.as_deref_mut() {
            Some(runs) => {
                let (given, profile) = session.run_profiled(&batch)?;
                runs.push(profile);
                given
            }
            None => session.run(&batch)?,
        };
        batches::append(&mut outputs, given)?;
        if let Some(bar) = &bar {
            bar.inc(1);
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(outputs)
}

/// A bar on standard error; `indicatif` shows none where that is no terminal.
fn progress(count: usize) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(count as u64);
    match indicatif::ProgressStyle::with_template("{bar:40} {pos}/{len} batches, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The texts that rows of the outputs belong to, where text is all that was given.
fn only_texts(inputs: &Tensors) -> Option<&[String]> {
    let mut given = inputs.iter();
    match (given.next(), given.next()) {
        (Some((_, tensor)), None) if tensor.dtype() == DType::Str => tensor.as_str(),
        _ => None,
    }
}

fn add_labels(outputs: &mut Tensors, labels: &Labels) {
    let best: Vec<(String, Vec<String>)> = outputs
        .iter()
        .filter_map(|(name, tensor)| {
            let labels = show::labels_of(name, tensor, labels)?;
            Some((format!("labels/{name}"), show::best_labels(tensor, labels)?))
        })
        .collect();
    for (name, names) in best {
        outputs.insert(name, names);
    }
}

fn profile_json(graph: &Graph, runs: &[Profile]) -> Result<String, CliError> {
    let object = serde_json::json!({ "model": graph.name(), "batches": runs });
    Ok(serde_json::to_string_pretty(&object)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use crate::graph::{Dim, Tensor, TensorType};
    use crate::ops::{Activate, Activation};
    use crate::runtime::Options;

    fn session() -> Session {
        let mut graph = Graph::new("tanh");
        let dims = vec![Dim::symbol("batch"), Dim::Known(2)];
        let x = graph.add_input("x", TensorType::new(DType::F32, dims)).unwrap();
        let y = graph.add_one("act", Activate { activation: Activation::Tanh }, &[x]).unwrap();
        graph.add_output("y", y).unwrap();
        Model::from_graph(graph).session(&Options::new().threads(1)).unwrap()
    }

    #[test]
    fn the_size_of_batches_does_not_change_results() {
        let values: Vec<f32> = (0..100).map(|i| i as f32 / 50.0 - 1.0).collect();
        let inputs = Tensors::new().with("x", Tensor::new([50, 2], values).unwrap());
        let whole = run_batches(&mut session(), &inputs, Some(50), None).unwrap();
        assert_eq!(whole.get("y").unwrap().shape(), [50, 2]);
        for size in [None, Some(1), Some(7), Some(1000)] {
            let cut = run_batches(&mut session(), &inputs, size, None).unwrap();
            assert_eq!(cut, whole, "batches of {size:?}");
        }
    }

    #[test]
    fn a_profile_has_an_entry_for_each_batch_and_node() {
        let inputs = Tensors::new().with("x", Tensor::zeros(DType::F32, [5, 2]));
        let (mut session, mut runs) = (session(), Vec::new());
        run_batches(&mut session, &inputs, Some(2), Some(&mut runs)).unwrap();
        let json = profile_json(session.graph(), &runs).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["batches"].as_array().map(Vec::len), Some(3));
        assert_eq!(json["batches"][0]["nodes"][0]["node"], "act");
    }

    #[test]
    fn predicted_labels_are_kept_beside_their_output() {
        let values = vec![0.1f32, 0.9, 0.8, 0.2];
        let mut outputs = Tensors::new().with("y", Tensor::new([2, 2], values).unwrap());
        add_labels(&mut outputs, &Labels::of_all(["bad".to_owned(), "good".to_owned()]));
        assert_eq!(outputs.get("labels/y"), Some(&["good", "bad"].as_slice().into()));
    }
}
