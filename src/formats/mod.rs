//! File formats: one module each, its reader beside its writer.

pub mod description;
mod error;
pub(crate) mod graph;
pub mod keras;
mod labels;
pub mod npz;
pub mod onnx;
pub mod safetensors;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::{FormatError, LoadError, SaveError};
pub use keras::custom::CustomRegistry;
pub use labels::Labels;
pub(crate) use labels::classes;
pub(crate) use whole::temporary;
pub use whole::write_whole;

use crate::graph::{Graph, Tensor};

/// The formats of models, told by a file's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `.keras`: Keras 3's archive of configuration, weights and vocabularies.
    Keras,
    /// `.h5`, `.hdf5`: the file of Keras 2, which Keras 3 calls legacy; also weights alone.
    Hdf5,
    /// `.safetensors`: named tensors, with the model's configuration in the header.
    Safetensors,
    /// `.onnx`: graphs of operators, as PyTorch, tf2onnx and others export them.
    Onnx,
    /// `.json`: a description without weights, in the form of Keras's `model.to_json()`.
    Description,
}

impl Format {
    /// The format of a file by its extension.
    ///
    /// # Errors
    /// If the extension is none of them; the message says what to do.
    pub fn of(path: &Path) -> Result<Format, FormatError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if name.ends_with(".weights.json") {
            return Err(FormatError::Unsupported {
                what: "an index of weights in shards".to_owned(),
                hint: format!(
                    "in Python build the model and run `model.load_weights(\"{name}\")`, then \
                     `model.save(\"model.keras\")`"
                ),
            });
        }
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        let found = match extension.to_ascii_lowercase().as_str() {
            "keras" => return Ok(Format::Keras),
            "json" => return Ok(Format::Description),
            "h5" | "hdf5" => return Ok(Format::Hdf5),
            "safetensors" => return Ok(Format::Safetensors),
            "onnx" => return Ok(Format::Onnx),
            _ => {
                "models are told by extension: .keras, .h5, .onnx, .safetensors, or .json for a description"
            }
        };
        Err(FormatError::WrongKind { expected: "model", found: found.to_owned() })
    }
}

/// Why a folder is no model file, and how it becomes one.
pub(crate) fn folder(path: &Path) -> FormatError {
    let name = path.display();
    if path.join("saved_model.pb").is_file() {
        let what = "a SavedModel folder, which holds a TensorFlow graph,".to_owned();
        let hint = format!(
            "if Keras saved it, `tf_keras.models.load_model(\"{name}\").save(\"model.h5\")` in Python \
             converts it (pip install tf_keras)"
        );
        return FormatError::Unsupported { what, hint };
    }
    if path.join("config.json").is_file() && path.join("metadata.json").is_file() {
        let hint = format!(
            "in Python `keras.saving.load_model(\"{name}\").save(\"model.keras\")` makes a file of it"
        );
        return FormatError::Unsupported { what: "an unpacked .keras folder".to_owned(), hint };
    }
    FormatError::WrongKind { expected: "model", found: "it is a folder; name a file".to_owned() }
}

/// What a reader is told beside the file.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The tokens of the model's text layer, in place of those in the file.
    pub vocabulary: Option<Vec<String>>,
    /// Texts from which the text layers of a description learn the vocabularies that it does not
    /// give, as Keras's `adapt` does: `[rows]`, or of the shape that the layers take.
    pub adapt: Option<Arc<Tensor>>,
    /// Templates of custom classes.
    pub custom: CustomRegistry,
    /// What the first values of an untrained model are drawn from.
    pub seed: u64,
    /// The description of the model, as JSON, for a file that holds weights alone; in place of its
    /// own for an HDF5 file that has one. Refused for other formats.
    pub architecture: Option<Vec<u8>>,
    /// The folder of the model's file, in which an ONNX model may keep tensors.
    pub folder: Option<PathBuf>,
}

/// A model as it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it computes.
    pub graph: Graph,
    /// What else a file in Keras's form holds, with which it can be written again.
    pub document: Option<keras::Document>,
}

/// Reads a model.
///
/// # Errors
/// If the bytes are damaged, or hold what is not supported; the error names it. Also if `options`
/// give an architecture for a format whose files always hold their own.
pub fn read(bytes: &[u8], format: Format, options: &ReadOptions) -> Result<Loaded, FormatError> {
    if options.architecture.is_some() && format != Format::Hdf5 {
        return Err(FormatError::Unsupported {
            what: "a description beside a file that holds its own".to_owned(),
            hint: "leave --architecture out: it goes with the weights of an .h5 file".to_owned(),
        });
    }
    match format {
        Format::Keras => keras::read(bytes, options),
        Format::Hdf5 => keras::legacy::read(bytes, options),
        Format::Safetensors => safetensors::read(bytes, options),
        Format::Onnx => {
            let graph = onnx::read(bytes.to_vec(), options.folder.as_deref())?;
            Ok(Loaded { graph, document: None })
        }
        Format::Description => keras::read_description(bytes, options),
    }
}

/// A model as a file's bytes.
#[derive(Clone, Debug)]
pub struct Written {
    /// The file.
    pub bytes: Vec<u8>,
    /// A line for each part of the model that the format has no place for.
    pub left_out: Vec<String>,
}

/// Writes a model that is a Graph alone: one that was read from ONNX, or built in memory.
///
/// # Errors
/// If the format holds layers of Keras only, or cannot say a part of the Graph.
pub fn write_graph(graph: &Graph, format: Format) -> Result<Written, FormatError> {
    let format = match format {
        Format::Safetensors => return safetensors::write_graph(graph),
        Format::Keras => ".keras",
        Format::Hdf5 => ".h5",
        Format::Onnx => ".onnx",
        Format::Description => ".json",
    };
    Err(FormatError::Unwritable {
        what: "a graph of operators, which knows nothing of Keras's layers,".to_owned(),
        format,
        hint: "write .safetensors, which holds the graph and its weights".to_owned(),
    })
}

/// Writes a model that was read from a file: its Graph's weights, and what its document holds.
/// Equal models give equal bytes.
///
/// # Errors
/// If the format cannot say a part of the model without which it would compute something else.
pub fn write(
    graph: &Graph,
    document: &keras::Document,
    format: Format,
) -> Result<Written, FormatError> {
    match format {
        Format::Keras => keras::write_archive(graph, document),
        Format::Hdf5 => keras::write_legacy(graph, document),
        Format::Safetensors => safetensors::write(graph, document),
        Format::Onnx => Err(FormatError::Unwritable {
            what: "a model".to_owned(),
            format: ".onnx",
            hint: "ONNX files are not written yet; .safetensors, .keras and .h5 are".to_owned(),
        }),
        Format::Description => keras::write_description(document),
    }
}
