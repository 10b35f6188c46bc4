//! The data of training, and the model made ready for them.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::TrainArgs;
use crate::cli::error::CliError;
use crate::graph::DType;
use crate::train::files::{self, DataFile, DataOptions};
use crate::train::{CompileConfig, Dataset, TrainConfig};
use crate::{Format, Labels, Model, ReadOptions};

/// Which columns of rows hold what.
#[derive(Debug, Args)]
pub(in crate::cli) struct ColumnArgs {
    /// The column of texts [default: `text`, or the one beside `label`]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// The column of labels, or of numbers to learn [default: `label`, or the one beside `text`]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// The column of sample weights [default: `sample_weight`, or `sample_weight_NAME` for single
    /// outputs, where there is one]
    #[arg(long, value_name = "NAME")]
    pub weight_column: Option<String>,
}

impl ColumnArgs {
    /// Reads a file as data of `model`, whose classes have the names `labels`, to be trained as
    /// `compile` says.
    pub fn read(
        &self,
        path: &Path,
        model: &Model,
        compile: &CompileConfig,
        labels: Labels,
    ) -> Result<DataFile, CliError> {
        let options = DataOptions {
            text_column: self.text_column.clone(),
            label_column: self.label_column.clone(),
            weight_column: self.weight_column.clone(),
            labels,
        };
        let read = files::read(path, model.graph(), &options);
        let read = read.and_then(|file| file.fit(model.graph(), compile));
        read.map_err(|error| CliError::from(error).within(path.display()))
    }
}

/// What is trained on what.
pub(super) struct Data {
    pub model: Model,
    pub config: TrainConfig,
    pub train: Dataset,
    pub validation: Option<Dataset>,
    pub labels: Labels,
    /// What was read, to tell where rows stand in it.
    pub file: DataFile,
}

impl Data {
    /// Reads model and data, and finds out what the model is trained by. A description learns its
    /// vocabulary from the texts to train on, those to validate on are not among them.
    pub fn read(args: &TrainArgs) -> Result<Data, CliError> {
        let settings = args.settings()?;
        let mut options = ReadOptions { seed: args.seed, ..args.model.options()? };
        let mut model = args.model.open_with(&options)?;
        let config = settings.apply(&args.config(), &model)?;
        let compile = config.compiled(&model)?;
        let known = args.labels.read()?.unwrap_or_else(|| model.labels());
        let mut file = args.columns.read(&args.data, &model, &compile, known)?;
        let labels = file.labels.clone();
        let data = std::mem::take(&mut file.data);
        let (train, validation) = match (&args.validation_data, args.validation_split) {
            (Some(_), _) | (_, Some(_)) if file.validation.is_some() => {
                return Err(CliError::usage(format!(
                    "{} holds rows to validate on (x_val); leave out --validation-data and \
                     --validation-split",
                    args.data.display()
                )));
            }
            (Some(path), _) => {
                let read = args.columns.read(path, &model, &compile, labels.clone())?;
                if read.validation.is_some() {
                    let what = "--validation-data: the file has x_val of its own, which has no use";
                    return Err(CliError::failed(what).within(path.display()));
                }
                (data, Some(read.data))
            }
            (None, Some(fraction)) => {
                let (train, rest) = data.split(fraction)?;
                (train, Some(rest))
            }
            (None, None) => (data, file.validation.take()),
        };
        if let Some(texts) = texts(args, &model, &train) {
            options.adapt = Some(Arc::new(texts));
            model = args.model.open_with(&options)?;
        }
        if !labels.is_empty() {
            model = model.with_labels(&labels)?;
        }
        Ok(Data { model, config, train, validation, labels, file })
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
