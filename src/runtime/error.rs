//! What can go wrong in a run.

use crate::graph::{DType, GraphError, TensorType};
use crate::plan::PlanError;
use crate::text::TextError;

/// Why a run, or the Session for it, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An input of the model was not given.
    #[error("input `{name}` is missing; this model takes {known}")]
    MissingInput {
        /// The input's name.
        name: String,
        /// The names and types of all inputs.
        known: String,
    },
    /// A tensor was given under a name that is no input of the model.
    #[error("the model has no input `{name}`; it takes {known}")]
    UnknownInput {
        /// The name given.
        name: String,
        /// The names and types of all inputs.
        known: String,
    },
    /// An input has a shape that the model does not take.
    #[error("input `{name}` has shape {found:?}, expected {expected}")]
    InputShape {
        /// The input's name.
        name: String,
        /// The type that the model takes.
        expected: TensorType,
        /// The shape given.
        found: Vec<usize>,
    },
    /// Two inputs disagree about a size that they share.
    #[error("input `{name}` has {symbol} = {found}, another input has {expected}")]
    InputSize {
        /// The input's name.
        name: String,
        /// The size that they share.
        symbol: String,
        /// The size of the other.
        expected: usize,
        /// The size of this one.
        found: usize,
    },
    /// An input has a type that does not convert to the model's without loss.
    #[error("input `{name}` is {found}, expected {expected}")]
    InputType {
        /// The input's name.
        name: String,
        /// The type that the model takes.
        expected: DType,
        /// The type given.
        found: DType,
    },
    /// An integer of an input does not fit the model's integers.
    #[error("input `{name}` holds {value} at position {position}, which does not fit {expected}")]
    InputRange {
        /// The input's name.
        name: String,
        /// The type that the model takes.
        expected: DType,
        /// The integer.
        value: i128,
        /// Where it stands in row-major order.
        position: usize,
    },
    /// No output or layer has the name asked for.
    #[error("no output or layer is named `{name}`; there are {known}")]
    UnknownOutput {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// An output cannot be fed back as an input.
    #[error("output `{output}` cannot be carried to input `{input}`: {problem}")]
    Carry {
        /// The output.
        output: String,
        /// The input.
        input: String,
        /// Why not.
        problem: String,
    },
    /// A token id is outside the vocabulary.
    #[error(
        "node `{node}`: token id {id} at position {position} is outside the vocabulary 0..{vocabulary}"
    )]
    TokenId {
        /// The Embedding's name.
        node: String,
        /// The id.
        id: i64,
        /// Where it stands in row-major order.
        position: usize,
        /// The size of the vocabulary.
        vocabulary: usize,
    },
    /// A target is not among the classes.
    #[error(
        "node `{node}`: the target of sample {sample} is class {id}, outside the classes \
         0..{classes} that the model predicts"
    )]
    Label {
        /// The loss's name.
        node: String,
        /// Which sample, counted over all leading axes.
        sample: usize,
        /// The class that it names.
        id: i64,
        /// How many classes there are.
        classes: usize,
    },
    /// A position is outside the axis that it should name an element of.
    #[error(
        "node `{node}`: position {value} (index {index}) is outside an axis of {size} elements"
    )]
    Position {
        /// The node's name.
        node: String,
        /// The position given.
        value: i64,
        /// Where it stands in row-major order.
        index: usize,
        /// The size of the axis.
        size: usize,
    },
    /// A node cannot be run on the device.
    #[error("node `{node}` ({op}) cannot run on {device}: {reason}")]
    Unsupported {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: &'static str,
        /// The device.
        device: &'static str,
        /// Why not, and what to do.
        reason: String,
    },
    /// A Graph that a node runs as a part of itself failed.
    #[error("node `{node}` ({op}) failed inside")]
    Within {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: &'static str,
        /// What was wrong.
        #[source]
        source: Box<RunError>,
    },
    /// The Graph of a node could not be built from what a run gave it.
    #[error("node `{node}` ({operation}) cannot be built for its inputs")]
    Late {
        /// The node's name.
        node: String,
        /// The operation.
        operation: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A node on the host gave something else than it said.
    #[error("node `{node}` gave {found} as output {output}, expected {expected}")]
    Outcome {
        /// The node's name.
        node: String,
        /// Which output.
        output: usize,
        /// The type that it said.
        expected: TensorType,
        /// The type that it gave.
        found: TensorType,
    },
    /// A node on the host gave a size that a value of the run contradicts.
    #[error("node `{node}` gave {symbol} = {found} as output {output}, elsewhere it is {expected}")]
    OutcomeSize {
        /// The node's name.
        node: String,
        /// Which output.
        output: usize,
        /// The size.
        symbol: String,
        /// What it was before.
        expected: usize,
        /// What it is here.
        found: usize,
    },
    /// A text layer failed.
    #[error("node `{node}`: {source}")]
    Text {
        /// The node's name.
        node: String,
        /// What was wrong.
        #[source]
        source: Box<TextError>,
    },
    /// A text layer has no vocabulary.
    #[error(
        "node `{node}` has no vocabulary: adapt the layer in Keras, or give its tokens (--vocabulary FILE)"
    )]
    NoVocabulary {
        /// The node's name.
        node: String,
    },
    /// The sizes of the run do not suit the model.
    #[error(transparent)]
    Plan(Box<PlanError>),
    /// The outputs asked for do not make a valid Graph.
    #[error(transparent)]
    Graph(Box<GraphError>),
    /// The device is not there.
    #[error("device `{device}`: {reason}")]
    Device {
        /// The device.
        device: &'static str,
        /// Why not, and what to do.
        reason: String,
    },
    /// Memory for a buffer could not be had.
    #[error("no memory for {bytes} bytes of intermediate values; run a smaller batch")]
    Memory {
        /// The bytes asked for.
        bytes: usize,
    },
    /// The GPU failed.
    #[cfg(feature = "gpu")]
    #[error(transparent)]
    Gpu(Box<super::gpu::GpuError>),
}

impl From<PlanError> for RunError {
    fn from(error: PlanError) -> RunError {
        RunError::Plan(Box::new(error))
    }
}

impl From<GraphError> for RunError {
    fn from(error: GraphError) -> RunError {
        RunError::Graph(Box::new(error))
    }
}
