//! Data files: arrays in `.npz`, rows in `.csv`, `.tsv` and `.jsonl`.

mod column;
mod error;
mod labels;
mod layout;
mod npz;
mod rows;
mod table;
mod targets;

use std::path::Path;

pub use error::DataError;
pub(crate) use table::open_quote;
pub use targets::fit_targets;

use super::Dataset;
use crate::graph::Graph;

/// Which columns of a file of rows hold what.
#[derive(Clone, Debug, Default)]
pub struct DataOptions {
    /// The column of texts, for a model that takes text: without one `text`, the name of the model's
    /// input, or the other one of two columns.
    pub text_column: Option<String>,
    /// The column of labels or numbers to learn: without one `label`, the name of the model's
    /// output, or the other one of two columns.
    pub label_column: Option<String>,
    /// The column of sample weights: without one `sample_weight`, where there is such.
    pub weight_column: Option<String>,
    /// The names of the classes, in order; without them names are sorted.
    pub labels: Option<Vec<String>>,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// The rows to train on.
    pub data: Dataset,
    /// The rows to validate on, where an `.npz` has such (`x_val`, `y_val`).
    pub validation: Option<Dataset>,
    /// The names of the classes, where labels are names; a target is the place of its name.
    pub labels: Option<Vec<String>>,
}

/// Reads a file, whose extension says the kind, as data of the model that `graph` computes.
///
/// An `.npz` holds `x` or an array for each input under its name, `y` or an array for each output
/// under its name, and where wanted `sample_weight`, and the same with `_val` behind the names.
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
    let text = std::str::from_utf8(bytes)
        .map_err(|error| DataError::Encoding { at: error.valid_up_to() })?;
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
