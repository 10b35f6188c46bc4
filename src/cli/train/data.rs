//! The data of training, and the model made ready for them.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::TrainArgs;
use crate::cli::error::CliError;
use crate::graph::DType;
use crate::train::Dataset;
use crate::train::files::{self, DataFile, DataOptions};
use crate::{Format, Model, ReadOptions};

/// Which columns of rows hold what.
#[derive(Debug, Args)]
pub(in crate::cli) struct ColumnArgs {
    /// The column of texts [default: `text`, or the other one of two]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// The column of labels, or of numbers to learn [default: `label`, or the other one of two]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// The column of sample weights [default: `sample_weight`, where there is one]
    #[arg(long, value_name = "NAME")]
    pub weight_column: Option<String>,
}

impl ColumnArgs {
    /// Reads a file as data of `model`, whose classes have the names `labels`.
    pub fn read(
        &self,
        path: &Path,
        model: &Model,
        labels: Option<Vec<String>>,
    ) -> Result<DataFile, CliError> {
        let options = DataOptions {
            text_column: self.text_column.clone(),
            label_column: self.label_column.clone(),
            weight_column: self.weight_column.clone(),
            labels,
        };
        let read = files::read(path, model.graph(), &options);
        read.map_err(|error| CliError::from(error).within(path.display()))
    }
}

/// What is trained on what.
pub(super) struct Data {
    pub model: Model,
    pub train: Dataset,
    pub validation: Option<Dataset>,
    pub labels: Option<Vec<String>>,
}

impl Data {
    /// Reads model and data. A description learns its vocabulary from the texts to train on, those
    /// to validate on are not among them.
    pub fn read(args: &TrainArgs) -> Result<Data, CliError> {
        let mut options = ReadOptions { seed: args.seed, ..args.model.options()? };
        let mut model = args.model.open_with(&options)?;
        let given = args.labels.read()?;
        let known = given.clone().or_else(|| model.labels());
        let file = args.columns.read(&args.data, &model, known.clone())?;
        let labels = file.labels.clone().or(known);
        let (train, validation) = match (&args.validation_data, args.validation_split) {
            (Some(_), _) | (_, Some(_)) if file.validation.is_some() => {
                return Err(CliError::usage(format!(
                    "{} holds rows to validate on (x_val); leave out --validation-data and \
                     --validation-split",
                    args.data.display()
                )));
            }
            (Some(path), _) => {
                let read = args.columns.read(path, &model, labels.clone())?;
                if read.validation.is_some() {
                    let what = "--validation-data: the file has x_val of its own, which has no use";
                    return Err(CliError::failed(what).within(path.display()));
                }
                (file.data, Some(read.data))
            }
            (None, Some(fraction)) => {
                let (train, rest) = file.data.split(fraction)?;
                (train, Some(rest))
            }
            (None, None) => (file.data, file.validation),
        };
        if let Some(texts) = texts(args, &model, &train) {
            options.adapt = Some(Arc::new(texts));
            model = args.model.open_with(&options)?;
        }
        if let Some(labels) = &labels {
            model = model.with_labels(labels)?;
        }
        Ok(Data { model, train, validation, labels })
    }
}

/// The texts that a description's text layer learns its vocabulary from.
fn texts(args: &TrainArgs, model: &Model, train: &Dataset) -> Option<crate::Tensor> {
    let described = Format::of(&args.model.model).is_ok_and(|f| f == Format::Description);
    let [input] = model.graph().inputs() else { return None };
    let text = model.graph().ty(input.value).dtype == DType::Str;
    let given = train.inputs().at(0).map(|(_, texts)| texts.clone());
    given.filter(|_| described && text && args.model.vocabulary.is_none())
}
