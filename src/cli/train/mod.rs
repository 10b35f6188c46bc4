//! `seqfuse train`: a model on data.

mod data;
mod plot;
mod progress;
mod report;
mod settings;

use std::path::{Path, PathBuf};

use clap::Args;

use super::common::{DeviceArgs, DeviceChoice, LabelsArgs, ModelArgs};
use super::error::CliError;
use super::output::{self, OutputFile};
use super::run;
use crate::train::callback::EarlyStopping;
use crate::train::files::DataFile;
use crate::train::{History, TrainConfig, TrainError, Trainer};
use crate::{Format, Model};
pub(super) use data::ColumnArgs;
use data::Data;
pub(super) use settings::{CompileArgs, Settings};

/// Train a model on texts or arrays, as Keras's fit does
///
/// Data are an .npz with `x` and `y` (or an array for each input and output under its name, and
/// where wanted `sample_weight` or, for single outputs, `sample_weight_NAME`, and the same with `_val`
/// behind the names: `x_val`, `y_val`), or a .csv, .tsv or .jsonl with a column of texts
/// or numbers and one of labels. Labels may be names: they count in sorted order, and travel in the
/// model's file. A description whose text layer has no vocabulary learns one from the texts.
///
/// Optimizer (with its state), loss and metrics are those that the model was compiled with;
/// --config and flags override them. Defaults are Keras's.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  seqfuse train models/tiny-lstm.json --data reviews.csv --validation-split 0.2 --epochs 10
  seqfuse train model.keras --data train.npz --validation-data test.npz --optimizer adam \\
      --learning-rate 0.001 --early-stopping 3 --history history.json --output trained.keras")]
pub(super) struct TrainArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    labels: LabelsArgs,
    /// What to train on
    #[arg(long, value_name = "FILE.npz|.csv|.jsonl")]
    data: PathBuf,
    /// What to validate on after each epoch
    #[arg(long, value_name = "FILE", conflicts_with = "validation_split")]
    validation_data: Option<PathBuf>,
    /// Keep this share of the rows, the last ones, to validate on
    #[arg(long, value_name = "F", allow_negative_numbers = true, value_parser = settings::share)]
    validation_split: Option<f64>,
    /// Times to train on all rows
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true,
          value_parser = run::positive)]
    epochs: usize,
    /// Rows of a step
    #[arg(long, value_name = "N", default_value_t = 32, allow_negative_numbers = true,
          value_parser = run::positive)]
    batch_size: usize,
    /// The optimizer: a name, or Keras's serialized form as JSON
    #[arg(long, value_name = "NAME|JSON")]
    optimizer: Option<String>,
    /// The learning rate: a number, or a schedule in Keras's serialized form
    #[arg(long, value_name = "R|JSON", allow_hyphen_values = true)]
    learning_rate: Option<String>,
    #[command(flatten)]
    compile: CompileArgs,
    /// How much rows of a class count: by number or name; others count once
    #[arg(long, value_name = "0=1.0,1=2.5", value_delimiter = ',', allow_hyphen_values = true)]
    class_weight: Vec<String>,
    /// Take rows in the order of the file in every epoch
    #[arg(long)]
    no_shuffle: bool,
    /// Seeds the order of rows, dropout, and the first weights of a description
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
          value_parser = settings::count::<u64>)]
    seed: u64,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Stop after this many epochs without a lower loss (that of validation where there is such),
    /// and take the best weights
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = settings::count::<usize>)]
    early_stopping: Option<usize>,
    /// Settings in Keras's compile_config form; `callbacks` may stand beside them, a list of
    /// {"class_name": …, "config": {…}}
    #[arg(long, value_name = "FILE.json")]
    config: Option<PathBuf>,
    /// Keep all that training needs to go on, to the bit, in this folder: after each epoch. A run in
    /// it that was not finished is not replaced: --resume goes on with it
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Go on from the folder's checkpoint, if there is one
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// Keep loss and metrics of each epoch, in Keras's form
    #[arg(long, value_name = "FILE.json")]
    history: Option<PathBuf>,
    /// Draw loss and metrics of training and validation
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Where the trained model goes [default: NAME-trained.keras here, or in the model's format]
    #[arg(long, value_name = "OUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The files that are written at the end.
struct Files {
    name: PathBuf,
    format: Format,
    model: OutputFile,
    history: Option<OutputFile>,
    plot: Option<OutputFile>,
}

/// Runs the command.
pub(super) fn run(args: &TrainArgs) -> Result<(), CliError> {
    refuse_gpu(&args.device, "training")?;
    let files = Files::of(args)?;
    let callbacks = settings::callbacks(args.config.as_deref())?;
    let Data { model, mut config, train, validation, labels, file } = Data::read(args)?;
    let names = settings::class_names(&labels, &model, &config);
    config = config.class_weight(settings::class_weights(&args.class_weight, names.as_deref())?);
    let rows = train.rows();
    let validated = validation.is_some();
    if let Some(validation) = validation {
        config = config.validation(validation);
    }
    let mut trainer = Trainer::new(&model, &config)?;
    for callback in callbacks {
        trainer = trainer.callback(callback);
    }
    if let Some(patience) = args.early_stopping {
        let monitor = if validated { "val_loss" } else { "loss" };
        let callback = EarlyStopping::new(monitor).patience(patience).restore_best_weights(true);
        trainer = trainer.callback(callback);
    }
    let batches = rows.div_ceil(args.batch_size);
    let mut trainer = trainer.callback(progress::Progress::new(args.epochs, batches));
    let history = trainer.fit(&train).map_err(|error| args.failed(error, &file))?;
    trainer.notes().iter().for_each(|note| eprintln!("note: {note}"));
    files.write(&trainer.model()?, &history)?;
    output::print(&report::render(&history, args.epochs, &files.name))
}

/// Refuses a device that does not train.
pub(super) fn refuse_gpu(device: &DeviceArgs, what: &str) -> Result<(), CliError> {
    if device.half_weights {
        return Err(CliError::usage(format!(
            "--half-weights: {what} runs on the CPU, which has no such form; leave it out"
        )));
    }
    match device.device {
        DeviceChoice::Gpu => Err(CliError::usage(format!(
            "--device gpu: {what} on the GPU is not built yet; leave it out or use --device cpu"
        ))),
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(()),
    }
}

impl TrainArgs {
    /// What `fit` is told, but for data and what the model was compiled with.
    fn config(&self) -> TrainConfig {
        let config = TrainConfig::new()
            .options(self.device.options())
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .shuffle(!self.no_shuffle)
            .seed(self.seed);
        match &self.checkpoint {
            Some(folder) => config.checkpoint(folder).resume(self.resume),
            None => config,
        }
    }

    /// What file and flags say over what the model was compiled with.
    fn settings(&self) -> Result<Settings, CliError> {
        let mut settings = Settings::of_file(self.config.as_deref())?;
        self.compile.add_to(&mut settings)?;
        if let Some(optimizer) = &self.optimizer {
            let value = settings::name_or_json("--optimizer", optimizer)?;
            settings.flag("optimizer", optimizer, value);
        }
        if let Some(rate) = &self.learning_rate {
            settings.flag("learning_rate", rate, settings::learning_rate(rate)?);
        }
        Ok(settings)
    }

    /// An error of training: where it tells a row, in the words of the file that was read.
    fn failed(&self, error: TrainError, file: &DataFile) -> CliError {
        match error {
            TrainError::Setting { what, found, expected } if what == "class_weight" => {
                CliError::usage(format!("--class-weight: {found}; {expected}"))
            }
            error @ TrainError::Row { .. } => {
                CliError::from(file.explain(error)).within(self.data.display())
            }
            error => error.into(),
        }
    }
}

impl Files {
    /// Finds out what will be written, and that it can be.
    fn of(args: &TrainArgs) -> Result<Files, CliError> {
        let name = args.output.clone().unwrap_or_else(|| default_name(&args.model.model));
        let format = super::convert::format(&name)?;
        if format == Format::Description {
            return Err(CliError::usage(format!(
                "--output {}: a description holds no weights; use .keras, .h5 or .safetensors",
                name.display()
            )));
        }
        let extension = |path: &Option<PathBuf>, flag: &str, wanted: &str| match path {
            Some(path) if path.extension().is_some_and(|found| found != wanted) => {
                let what = format!("{flag} {}: is written as .{wanted}", path.display());
                Err(CliError::usage(what))
            }
            _ => Ok(()),
        };
        extension(&args.history, "--history", "json")?;
        extension(&args.plot, "--plot", "svg")?;
        Ok(Files {
            model: OutputFile::create(&name)?,
            name,
            format,
            history: args.history.as_deref().map(OutputFile::create).transpose()?,
            plot: args.plot.as_deref().map(OutputFile::create).transpose()?,
        })
    }

    /// Writes the model, and what else was asked for.
    fn write(&self, model: &Model, history: &History) -> Result<(), CliError> {
        let written = model.to_bytes(self.format);
        let written = written.map_err(|e| CliError::from(e).within(self.name.display()))?;
        self.model.write(&written.bytes)?;
        for line in &written.left_out {
            eprintln!("note: {}: {line}", self.name.display());
        }
        if let Some(file) = &self.history {
            file.write(format!("{}\n", history.to_json()).as_bytes())?;
        }
        if let Some(file) = &self.plot {
            file.write(plot::render(history).as_bytes())?;
        }
        Ok(())
    }
}

/// The file that a trained model goes to unless another is named: in the working folder, in the
/// format of the model that it comes from, a description's in `.keras`.
fn default_name(model: &Path) -> PathBuf {
    let stem = model.file_stem().and_then(|stem| stem.to_str()).unwrap_or("model");
    let extension = match Format::of(model) {
        Ok(Format::Hdf5) => "h5",
        Ok(Format::Safetensors) => "safetensors",
        _ => "keras",
    };
    PathBuf::from(format!("{stem}-trained.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trained_model_does_not_replace_the_one_it_comes_from() {
        for (model, name) in [
            ("models/tiny-lstm.json", "tiny-lstm-trained.keras"),
            ("a.keras", "a-trained.keras"),
            ("b/a.H5", "a-trained.h5"),
            ("a.b.safetensors", "a.b-trained.safetensors"),
        ] {
            assert_eq!(default_name(Path::new(model)), PathBuf::from(name));
        }
    }
}
