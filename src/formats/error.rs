//! Why a file could not be read: what, where, which value, and what to do about it.

use std::error::Error;
use std::fmt;

use super::description::initializer::InitializerError;
use super::onnx::OnnxError;
use crate::graph::GraphError;
use crate::text::TextError;

/// Why the contents of a file cannot be used.
///
/// Every message is one line; what lies beneath it is in [`Error::source`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file system refused.
    #[error("the file cannot be read")]
    Io(#[from] std::io::Error),
    /// The bytes are not what the extension says.
    #[error("this is not a {expected} file: {found}")]
    WrongKind {
        /// The kind that was asked for, such as `.keras`.
        expected: &'static str,
        /// What the bytes are instead, and what to do.
        found: String,
    },
    /// The file ends too early, or its directory is damaged.
    #[error("the {kind} is truncated or damaged; copy or download the file again")]
    Damaged {
        /// What is damaged, such as `zip archive`.
        kind: &'static str,
        /// What the reader of that kind said.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// One member of an archive cannot be unpacked.
    #[error("member '{member}' of the archive cannot be unpacked")]
    Member {
        /// The member's path in the archive.
        member: String,
        /// What the unpacker said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Something unpacks to, holds or declares more than the limit.
    #[error("{what} takes more than the limit of {limit} {unit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit that it passes.
        limit: u64,
        /// What the limit counts, such as `bytes`.
        unit: &'static str,
    },
    /// A part that the format demands is absent.
    #[error("'{member}' is missing from the file; {hint}")]
    MissingMember {
        /// The part's name.
        member: String,
        /// What to do.
        hint: String,
    },
    /// A file holds weights and does not say of which model.
    #[error(
        "the file holds weights without an architecture; give the model's description with \
         --architecture FILE.json (in Python: `open('FILE.json', 'w').write(model.to_json())`), or \
         put it beside the file under the same name with .json"
    )]
    MissingArchitecture,
    /// A part of the file whose form is not read, with a way around it.
    #[error("{what} cannot be read here; {hint}")]
    Unsupported {
        /// The part, such as `weights in shards (model.weights.json)`.
        what: String,
        /// What to do.
        hint: String,
    },
    /// Text that should be JSON is not.
    #[error("{part} is not valid JSON")]
    Json {
        /// Which part of the file.
        part: String,
        /// Where it goes wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A value in a configuration is not of the form that the format prescribes.
    #[error("{place}: expected {expected}, found {found}")]
    Malformed {
        /// Where, such as `layer 'lstm', inbound node 0`.
        place: String,
        /// The form that was expected.
        expected: String,
        /// What stands there, shortened.
        found: String,
    },
    /// The HDF5 library refused.
    #[error("the HDF5 data cannot be read at '{path}'")]
    Hdf5 {
        /// The group or dataset.
        path: String,
        /// What the library said.
        #[source]
        source: Box<hdf5_pure::Error>,
    },
    /// The HDF5 data contradict themselves.
    #[error("the HDF5 data are damaged at '{path}': {problem}")]
    Hdf5Damaged {
        /// The group or dataset.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The HDF5 library refused to write.
    #[error("the HDF5 data cannot be written")]
    Hdf5Write(#[source] Box<hdf5_pure::Error>),
    /// The file system refused to write.
    #[error("the file cannot be written")]
    Write(#[source] std::io::Error),
    /// One member of an archive cannot be written.
    #[error("member '{member}' of the archive cannot be written")]
    MemberWrite {
        /// The member's path in the archive.
        member: String,
        /// What the packer said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A format has no place for a part of the model.
    #[error("{what} cannot be written to {format}; {hint}")]
    Unwritable {
        /// The part, naming the layer.
        what: String,
        /// The format, by its extension.
        format: &'static str,
        /// What to do.
        hint: String,
    },
    /// A file that lists weights by layer has weights for another number of layers.
    #[error(
        "the file holds weights of {found} layers, the model has {expected} layers with weights; is \
         it a file of this architecture?"
    )]
    WeightedLayers {
        /// The model's layers that have weights.
        expected: usize,
        /// Those of the file.
        found: usize,
    },
    /// A layer has another number of weights in the file.
    #[error("layer '{layer}' has {expected} weights, and '{group}' of the file holds {found}")]
    WeightCount {
        /// The layer's name.
        layer: String,
        /// The name under which the file lists it.
        group: String,
        /// The weights of the layer.
        expected: usize,
        /// Those of the file.
        found: usize,
    },
    /// A dataset's elements are of a type that is no weight's.
    #[error("weight '{path}' is stored as {found}; expected floating point or integers")]
    WeightType {
        /// The dataset.
        path: String,
        /// Its type.
        found: String,
    },
    /// The file comes from a version of Keras whose form is another one.
    #[error("the file was written by Keras {found}; {hint}")]
    Version {
        /// The version that the file names.
        found: String,
        /// What to do.
        hint: String,
    },
    /// No layer of that class is built in.
    #[error("layer '{layer}': class '{class}' is not supported; {hint}")]
    UnknownLayer {
        /// The layer's name.
        layer: String,
        /// Its class, with the registered name or module that tells it apart.
        class: String,
        /// What to do.
        hint: String,
    },
    /// A template of a custom class is not of the form, or does not suit an object of the class.
    #[error("template '{class}': {problem}")]
    Template {
        /// The class.
        class: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A layer that holds Python bytecode.
    #[error("layer '{layer}': a Lambda holds Python bytecode, which is not run; {hint}")]
    Lambda {
        /// The layer's name.
        layer: String,
        /// The line of Python that does without it.
        hint: String,
    },
    /// A layer carries an option that this version does not know.
    #[error(
        "layer '{layer}' ({class}): unknown option '{option}' = {value}; it was probably written by \
         another version of Keras, and ignoring it could change the results"
    )]
    UnknownOption {
        /// The layer's name.
        layer: String,
        /// Its class.
        class: String,
        /// The option's name.
        option: String,
        /// Its value, shortened.
        value: String,
    },
    /// A layer lacks an option that has no default.
    #[error("layer '{layer}' ({class}): option '{option}' is missing; expected {expected}")]
    MissingOption {
        /// The layer's name.
        layer: String,
        /// Its class.
        class: String,
        /// The option's name.
        option: String,
        /// The form that was expected.
        expected: String,
    },
    /// An option's value is not one that Keras allows.
    #[error("layer '{layer}': option '{option}' = {value}; expected {expected}")]
    BadOption {
        /// The layer's name.
        layer: String,
        /// The option's name.
        option: String,
        /// The value, shortened.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// An option's value that Keras allows and this version does not honour.
    #[error("layer '{layer}': option '{option}' = {value} is not supported; {hint}")]
    UnsupportedOption {
        /// The layer's name.
        layer: String,
        /// The option's name.
        option: String,
        /// The value, shortened.
        value: String,
        /// What to do.
        hint: String,
    },
    /// A layer computes in another precision.
    #[error(
        "layer '{layer}': dtype policy '{policy}' is not supported; set it to float32 in Python with \
         `layer.dtype_policy = \"float32\"` and save the model again"
    )]
    UnsupportedPolicy {
        /// The layer's name.
        layer: String,
        /// The policy's name.
        policy: String,
    },
    /// A model's graph refers to what it does not hold, or in a circle.
    #[error("model '{model}': {problem}")]
    Graph {
        /// The model's name.
        model: String,
        /// What is wrong, naming the layer.
        problem: String,
    },
    /// The file holds no weight where a layer's should be.
    #[error("layer '{layer}': weight '{path}' is missing from the file")]
    MissingWeight {
        /// The layer's name.
        layer: String,
        /// The dataset that was looked for.
        path: String,
    },
    /// A weight's shape is not the layer's.
    #[error("layer '{layer}': weight '{path}' has shape {found:?}, expected {expected:?}")]
    WeightShape {
        /// The layer's name.
        layer: String,
        /// The dataset.
        path: String,
        /// The shape that the layer's options give.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// The file holds weights that belong to no layer of the model.
    #[error("{} to no layer of the model: {}", count(paths), shortened(paths))]
    SurplusWeights {
        /// The datasets.
        paths: Vec<String>,
    },
    /// A layer cannot be called in the way that the model calls it.
    #[error("layer '{layer}': {problem}")]
    Call {
        /// The layer's name.
        layer: String,
        /// What is wrong, naming the argument.
        problem: String,
    },
    /// A layer's operators refuse the tensors that they are given.
    #[error("layer '{layer}' does not fit its inputs")]
    Inputs {
        /// The layer's name.
        layer: String,
        /// What the operator said.
        #[source]
        source: Box<GraphError>,
    },
    /// A variable's first values cannot be drawn.
    #[error("layer '{layer}': variable '{variable}' cannot be initialized")]
    Initializer {
        /// The layer's name.
        layer: String,
        /// The variable's name.
        variable: String,
        /// What is wrong with its initializer.
        #[source]
        source: Box<InitializerError>,
    },
    /// A text layer's options or vocabulary are refused.
    #[error("layer '{layer}': {source}")]
    Text {
        /// The layer's name.
        layer: String,
        /// What is wrong.
        source: Box<TextError>,
    },
    /// An ONNX model cannot be read.
    #[error(transparent)]
    Onnx(Box<OnnxError>),
    /// A text layer has no vocabulary.
    #[error("layer '{layer}': the file holds no vocabulary; {hint}")]
    MissingVocabulary {
        /// The layer's name.
        layer: String,
        /// What to do.
        hint: String,
    },
}

impl From<OnnxError> for FormatError {
    fn from(error: OnnxError) -> FormatError {
        FormatError::Onnx(Box::new(error))
    }
}

fn count(paths: &[String]) -> String {
    match paths.len() {
        1 => "1 weight in the file belongs".to_owned(),
        n => format!("{n} weights in the file belong"),
    }
}

fn shortened(paths: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text = paths.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if paths.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

impl FormatError {
    /// The same error, with the name of the archive's member in front of paths within it.
    pub(crate) fn in_member(mut self, member: &str) -> FormatError {
        if let FormatError::Hdf5 { path, .. }
        | FormatError::Hdf5Damaged { path, .. }
        | FormatError::WeightType { path, .. } = &mut self
        {
            *path = format!("{member}/{}", path.trim_start_matches('/'));
        }
        self
    }

    /// The same error, with the name of the file it was met in.
    pub fn in_file(self, file: impl fmt::Display) -> LoadError {
        LoadError { file: file.to_string(), error: Box::new(self) }
    }
}

/// Why a file could not be written: as for reading.
pub type SaveError = LoadError;

/// A [`FormatError`] and the file it was met in, told in one line.
#[derive(Debug)]
pub struct LoadError {
    /// The file, as the caller named it.
    pub file: String,
    /// What is wrong with it.
    pub error: Box<FormatError>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.error)
    }
}

impl Error for LoadError {
    // The error itself is part of the line above, so the causes begin below it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
