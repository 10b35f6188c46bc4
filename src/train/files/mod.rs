//! Data files: arrays in `.npz`, rows in `.csv`, `.tsv` and `.jsonl`.

mod column;
mod error;
mod indexed;
mod labels;
mod layout;
mod lines;
mod npz;
mod places;
mod rows;
mod table;
mod targets;

use std::path::Path;

pub use error::DataError;
pub(crate) use indexed::{in_order, split};
pub(crate) use lines::Lines;
pub(crate) use table::{not_json, open_quote};
pub use targets::fit_targets;

use super::{CompileConfig, Dataset, TrainError, inputs};
use crate::formats::{Labels, classes};
use crate::graph::Graph;
use crate::runtime::Tensors;
use places::Places;

/// Which columns of a file of rows hold what.
#[derive(Clone, Debug, Default)]
pub struct DataOptions {
    /// The column of texts, for a model that takes text: without one `text`, the name of the model's
    /// input, or the one beside a column of labels that is told by its name.
    pub text_column: Option<String>,
    /// The column of labels or numbers to learn: without one `label`, the name of the model's
    /// output, or the one beside a column that is told by its name to be the input.
    pub label_column: Option<String>,
    /// The column of sample weights: without one `sample_weight`, or for single outputs
    /// `sample_weight_NAME`, where there are such.
    pub weight_column: Option<String>,
    /// The names of the classes, in order; names that are not known are sorted.
    pub labels: Labels,
}

impl DataOptions {
    /// The names of the classes of an output. Those of an only output are its own whether they fit
    /// or not, so that their number is refused.
    fn labels_of(&self, graph: &Graph, output: usize) -> Option<&[String]> {
        let output = graph.outputs().get(output)?;
        let several = graph.outputs().len() > 1;
        let classes = classes(graph.ty(output.value)).filter(|_| several);
        self.labels.of(&output.name, classes)
    }
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// The rows to train on.
    pub data: Dataset,
    /// The rows to validate on, where an `.npz` has such (`x_val`, `y_val`).
    pub validation: Option<Dataset>,
    /// The names of the classes: those that were given, and by output those that stand in the file.
    /// A target is the place of its name.
    pub labels: Labels,
    /// Where rows to train on, and those to validate on, stand in the file.
    places: [Places; 2],
}

impl DataFile {
    /// The data in the form that model and losses take: inputs in the model's types, targets as
    /// [`fit_targets`] makes them.
    ///
    /// # Errors
    /// If a value is none that the model takes: an id outside the vocabulary, a label of no class.
    /// The error names its place in the file.
    pub fn fit(self, graph: &Graph, compile: &CompileConfig) -> Result<DataFile, DataError> {
        let fit = |data: Dataset, places: &Places| {
            let fitted = fit_inputs(data, graph).and_then(|data| fit_targets(data, graph, compile));
            fitted.map_err(|error| places.explain(error))
        };
        let [places, held] = &self.places;
        let data = fit(self.data, places)?;
        let validation = self.validation.map(|data| fit(data, held)).transpose()?;
        Ok(DataFile { data, validation, labels: self.labels, places: self.places })
    }

    /// An error that training on the data ended with, in the words of the file where it names a row.
    pub fn explain(&self, error: TrainError) -> DataError {
        self.places[0].explain(error)
    }
}

fn fit_inputs(data: Dataset, graph: &Graph) -> Result<Dataset, TrainError> {
    let mut fitted = Tensors::new();
    for (name, tensor) in data.inputs().iter() {
        let input = graph.inputs().iter().find(|input| input.name == name);
        let tensor = match input {
            Some(input) => inputs::fit(graph, input, tensor)?,
            None => tensor.clone(),
        };
        fitted.insert(name, tensor);
    }
    Dataset::new(fitted, data.targets().clone())?.with_weights(data.weights().clone())
}

/// Reads a file, whose extension says the kind, as data of the model that `graph` computes.
///
/// An `.npz` holds `x` or an array for each input under its name, `y` or an array for each output
/// under its name, and where wanted `sample_weight` for all outputs or `sample_weight_NAME` for single
/// ones, and the same with `_val` behind the names.
/// Rows of `.csv`, `.tsv` (whose first row names the columns) and `.jsonl` (objects) hold a text or
/// numbers and a label.
///
/// # Errors
/// If the file cannot be read, or does not hold what the model takes; bad rows are named by line.
pub fn read(path: &Path, graph: &Graph, options: &DataOptions) -> Result<DataFile, DataError> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    let extension = extension.to_ascii_lowercase();
    if !["npz", "csv", "tsv", "jsonl"].contains(&extension.as_str()) {
        return Err(DataError::Extension);
    }
    let bytes = std::fs::read(path).map_err(DataError::Read)?;
    if extension == "npz" {
        return npz::read(&bytes, graph, options);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let breaks = bytes.iter().take(at).filter(|byte| **byte == b'\n');
        DataError::Encoding { line: 1 + breaks.count(), at }
    })?;
    let table = match extension.as_str() {
        "csv" => table::read_csv(text, b',')?,
        "tsv" => table::read_csv(text, b'\t')?,
        _ => table::read_jsonl(text)?,
    };
    rows::read(&table, graph, options)
}

/// Names in messages.
fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
