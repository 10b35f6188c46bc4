//! A model that was read: its Graph, ready to be given to Sessions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::formats::keras::Document;
use crate::formats::{
    self, Format, FormatError, Labels, LoadError, Loaded, ReadOptions, SaveError, Written, classes,
};
use crate::graph::{Graph, Output};
use crate::plan::PackCache;
use crate::runtime::{Options, RunError, Session};

/// A model: what it computes, and its weights.
///
/// It is `Send + Sync`: Sessions on many threads share it, and what they pack of its weights.
#[derive(Clone, Debug)]
pub struct Model {
    graph: Arc<Graph>,
    packs: Arc<PackCache>,
    /// What else its file holds; nothing for a Graph that was built in memory.
    document: Option<Arc<Document>>,
}

impl Model {
    /// Reads the model in a file, whose extension says the format.
    ///
    /// # Errors
    /// If the file cannot be read or holds what is not supported.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, LoadError> {
        Model::open_with(path, &ReadOptions::default())
    }

    /// Reads the model in a file with more to say about it. Beside an HDF5 file of weights alone a
    /// description of the same name with `.json` is read.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Model, LoadError> {
        let path = path.as_ref();
        let beside = path.with_extension("json");
        let read = || {
            if path.is_dir() {
                return Err(formats::folder(path));
            }
            let format = Format::of(path)?;
            let bytes = std::fs::read(path)?;
            let folder = path.parent().map(|folder| match folder.as_os_str().is_empty() {
                true => PathBuf::from("."),
                false => folder.to_path_buf(),
            });
            let options = &ReadOptions { folder, ..options.clone() };
            match Model::from_bytes_with(&bytes, format, options) {
                // Weights alone: a description may lie beside them.
                Err(FormatError::MissingArchitecture) if beside.exists() => {
                    let architecture = Some(std::fs::read(&beside)?);
                    let options = ReadOptions { architecture, ..options.clone() };
                    Model::from_bytes_with(&bytes, format, &options)
                }
                read => read,
            }
        };
        read().map_err(|error: FormatError| error.in_file(path.display()))
    }

    /// Reads a model from memory.
    ///
    /// # Errors
    /// If the bytes are damaged or hold what is not supported.
    pub fn from_bytes(bytes: &[u8], format: Format) -> Result<Model, FormatError> {
        Model::from_bytes_with(bytes, format, &ReadOptions::default())
    }

    /// Reads a model from memory with more to say about it.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn from_bytes_with(
        bytes: &[u8],
        format: Format,
        options: &ReadOptions,
    ) -> Result<Model, FormatError> {
        let Loaded { graph, document } = formats::read(bytes, format, options)?;
        #[cfg(debug_assertions)]
        debug_assert_eq!(graph.verify(), Ok(()));
        Ok(Model { document: document.map(Arc::new), ..Model::from_graph(graph) })
    }

    /// A model of a Graph that was built in memory.
    pub fn from_graph(graph: Graph) -> Model {
        Model { graph: Arc::new(graph), packs: Arc::new(PackCache::new()), document: None }
    }

    /// A model of a Graph and of what else its file is to hold.
    pub(crate) fn from_parts(graph: Graph, document: Document) -> Model {
        Model { document: Some(Arc::new(document)), ..Model::from_graph(graph) }
    }

    /// What the model computes, as it was read.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What the file that it was read from holds beside what it computes.
    pub fn document(&self) -> Option<&Document> {
        self.document.as_deref()
    }

    /// The names of the classes that the model tells apart, as far as its file holds them: for an
    /// output one for each value of a row, or two for a single probability.
    pub fn labels(&self) -> Labels {
        self.document().map_or_else(Labels::new, Document::labels)
    }

    /// The model with these names of classes, which files then hold.
    ///
    /// # Errors
    /// If there are none, one is empty or has a line break, or the model was built in memory.
    pub fn with_labels(&self, labels: &Labels) -> Result<Model, FormatError> {
        let mut document = self.document().ok_or_else(in_memory)?.clone();
        let of = |output: &Output| labels.of(&output.name, classes(self.graph.ty(output.value)));
        let labels = match self.graph.outputs() {
            // Those of an only output need not say whose they are.
            [output] => labels.of(&output.name, None).map(Labels::of_all),
            outputs if labels.by_output().next().is_some() => {
                let named = outputs.iter().filter_map(|output| Some((&output.name, of(output)?)));
                Some(named.fold(Labels::new(), |all, (name, names)| all.with(name, names)))
            }
            _ => None,
        }
        .unwrap_or_else(|| labels.clone());
        document.set_labels(&labels)?;
        Ok(Model { document: Some(Arc::new(document)), ..self.clone() })
    }

    /// Writes the model to a file, whose extension says the format; the file is there whole or, after
    /// an error, as it was. Gives a line for each part that the format has no place for.
    ///
    /// # Errors
    /// If the file cannot be written, or the format cannot say what the model computes.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<Vec<String>, SaveError> {
        let path = path.as_ref();
        let write = || {
            // Keras reads such a name as weights alone, in another layout.
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
            if name.to_ascii_lowercase().ends_with(".weights.h5") {
                return Err(FormatError::Unwritable {
                    what: "a file of weights alone".to_owned(),
                    format: ".weights.h5",
                    hint: "save the whole model under a name in .h5 without .weights, from which \
                           Keras's load_weights reads them too"
                        .to_owned(),
                });
            }
            let written = self.to_bytes(Format::of(path)?)?;
            formats::write_whole(path, &written.bytes).map_err(FormatError::Write)?;
            Ok(written.left_out)
        };
        write().map_err(|error: FormatError| error.in_file(path.display()))
    }

    /// The model as the bytes of a file.
    ///
    /// # Errors
    /// If the format cannot say what the model computes: a model that was read from ONNX or built in
    /// memory is written to `.safetensors` alone.
    pub fn to_bytes(&self, format: Format) -> Result<Written, FormatError> {
        match self.document() {
            Some(document) => formats::write(&self.graph, document, format),
            None => formats::write_graph(&self.graph, format),
        }
    }

    /// Makes the model ready to run.
    ///
    /// # Errors
    /// If an output is not known, or the device is not there or lacks an operator.
    pub fn session(&self, options: &Options) -> Result<Session, RunError> {
        Session::new(&self.graph, self.packs.clone(), options)
    }
}

fn in_memory() -> FormatError {
    FormatError::Unwritable {
        what: "a Graph that was built in memory".to_owned(),
        format: "model files",
        hint: "only models that were read from a file can be written".to_owned(),
    }
}
