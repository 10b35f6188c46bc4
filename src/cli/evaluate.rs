//! `seqfuse evaluate`: loss and metrics of a model on data.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::common::{self, DeviceArgs, LabelsArgs, ModelArgs};
use super::error::CliError;
use super::table::{Align, Table};
use super::train::{ColumnArgs, CompileArgs, Settings, refuse_gpu};
use super::{COLUMNS, output, run, show};
use crate::train::{TrainConfig, Trainer};

/// Measure a model's loss and metrics on data, as Keras's evaluate does
///
/// Data are as for `seqfuse train`; rows to validate on in an .npz (x_val) are left aside. Loss and
/// metrics are those that the model was compiled with unless flags name others.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  seqfuse evaluate model.keras --data test.npz
  seqfuse evaluate sentiment.keras --data reviews.csv --metrics accuracy,auc --json")]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    labels: LabelsArgs,
    /// What to measure on
    #[arg(long, value_name = "FILE.npz|.csv|.jsonl")]
    data: PathBuf,
    #[command(flatten)]
    compile: CompileArgs,
    #[command(flatten)]
    columns: ColumnArgs,
    /// Rows that run at once
    #[arg(long, value_name = "N", default_value_t = 32, allow_negative_numbers = true,
          value_parser = run::positive)]
    batch_size: usize,
    /// Print an object in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Runs the command.
pub(super) fn run(args: &EvaluateArgs) -> Result<(), CliError> {
    refuse_gpu(&args.device, "evaluation")?;
    let model = args.model.open()?;
    common::note_untrained(&args.model.model);
    let labels = args.labels.read()?.unwrap_or_else(|| model.labels());
    let mut settings = Settings::default();
    args.compile.add_to(&mut settings)?;
    // No step is made: the optimizer that the model has, and its state, do not matter.
    let config = TrainConfig::new()
        .optimizer("sgd")
        .options(args.device.options())
        .batch_size(args.batch_size);
    let config = settings.apply(&config, &model)?;
    let data = args.columns.read(&args.data, &model, &config.compiled(&model)?, labels)?.data;
    let trainer = Trainer::new(&model, &config)?;
    let logs = trainer.evaluate(&data)?;
    if args.json {
        let entries = logs.iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
        return output::print(&format!("{}\n", Value::Object(entries.collect::<Map<_, _>>())));
    }
    let rows = format!("{} rows", data.rows());
    let mut table = Table::new(&[("", Align::Left), (&rows, Align::Right)]);
    for (name, value) in logs.iter() {
        table.row([name.to_owned(), show::number(value as f32)]);
    }
    output::print(&table.render(COLUMNS))
}
