//! Why an ONNX file cannot be used: which node, which attribute or input, which value, what to do.

use crate::graph::GraphError;

/// Why an ONNX model cannot be read. Every message is one line; causes lie in `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The bytes are not the messages of an ONNX file.
    #[error("this is not an ONNX file, or it is truncated; copy or download the file again")]
    Decode(#[source] prost::DecodeError),
    /// Something that the whole model needs is absent or damaged.
    #[error("the model {problem}")]
    Model {
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A value of the graph (input, initializer, output) is not of a usable form.
    #[error("{what} '{name}' {problem}")]
    Value {
        /// Input, output, initializer.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A tensor's elements cannot be had.
    #[error("tensor '{name}': {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Something is larger, deeper or more than any model needs.
    #[error("{what} is over the limit of {limit}; such a file is taken for damaged or hostile")]
    Limit {
        /// What is too large, with its size.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A node cannot be read.
    #[error("node '{node}' ({op_type}): {problem}")]
    Node {
        /// The node's name, with those of the functions and subgraphs around it.
        node: String,
        /// Its operator, with the domain where that is not ONNX's own.
        op_type: String,
        /// What is wrong.
        problem: NodeProblem,
        /// What lies beneath it.
        #[source]
        source: Option<Box<OnnxError>>,
    },
}

/// What is wrong with a node.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeProblem {
    /// The operator is not known.
    #[error("the operator is not supported in opset {opset}")]
    UnknownOperator {
        /// The version of the operator's domain.
        opset: i64,
    },
    /// An attribute that the operator does not have.
    #[error("attribute '{attribute}' is not known in opset {opset}")]
    UnknownAttribute {
        /// The attribute.
        attribute: String,
        /// The version of the operator's domain.
        opset: i64,
    },
    /// An attribute that the operator must have.
    #[error("attribute '{attribute}' is missing")]
    MissingAttribute {
        /// The attribute.
        attribute: String,
    },
    /// An attribute's value is not one that the operator has, or that is honoured here.
    #[error("attribute '{attribute}' is {value}, expected {expected}")]
    Attribute {
        /// The attribute.
        attribute: String,
        /// Its value, shortened.
        value: String,
        /// The values that would do.
        expected: String,
    },
    /// An input that the operator must have.
    #[error("input {index} ({input}) is missing")]
    MissingInput {
        /// Its position.
        index: usize,
        /// Its name in the operator's definition.
        input: &'static str,
    },
    /// An input that the operator does not have, or that is not honoured here.
    #[error("input {index} ('{value}') is one too many")]
    SurplusInput {
        /// Its position.
        index: usize,
        /// The value's name.
        value: String,
    },
    /// An output that the operator does not have, or that is not given here.
    #[error("output {index} ('{value}') is not given by this operator")]
    SurplusOutput {
        /// Its position.
        index: usize,
        /// The value's name.
        value: String,
    },
    /// An input that nothing defines.
    #[error("input '{value}' is defined by no node before it, by no input and no initializer")]
    UndefinedInput {
        /// The value's name.
        value: String,
    },
    /// An input has another type than the operator takes.
    #[error("input {index} ({input}) is {found}, expected {expected}")]
    Input {
        /// Its position.
        index: usize,
        /// Its name in the operator's definition.
        input: &'static str,
        /// What it is.
        found: String,
        /// What would do.
        expected: String,
    },
    /// An input whose value would have to be known before the model runs.
    #[error("input {index} ({input}) is computed from data; {hint}")]
    NotKnown {
        /// Its position.
        index: usize,
        /// Its name in the operator's definition.
        input: &'static str,
        /// What to do.
        hint: String,
    },
    /// The number of a value's dimensions depends on sizes or data.
    #[error("{what}; give the inputs fixed sizes")]
    OpenRank {
        /// Why.
        what: String,
    },
    /// What is not honoured.
    #[error("{what} is not supported; {hint}")]
    Unsupported {
        /// What.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The Graph refuses the operator's inputs.
    #[error("{0}")]
    Graph(GraphError),
    /// Something that the node refers to (a tensor, a subgraph, a function) is at fault.
    #[error("it cannot be read")]
    Within,
}

impl OnnxError {
    /// Whether it is, or comes from, the open number of a value's dimensions.
    pub(super) fn has_open_rank(&self) -> bool {
        match self {
            OnnxError::Node { problem: NodeProblem::OpenRank { .. }, .. } => true,
            OnnxError::Node { source: Some(source), .. } => source.has_open_rank(),
            _ => false,
        }
    }
}

/// What an operator's lowering returns where it fails; the dispatcher adds the node.
#[derive(Debug)]
pub enum Problem {
    /// The node itself is at fault.
    Own(NodeProblem),
    /// Something within the node is at fault, which says more itself.
    Within(Box<OnnxError>),
}

impl From<NodeProblem> for Problem {
    fn from(problem: NodeProblem) -> Problem {
        Problem::Own(problem)
    }
}

impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Problem {
        Problem::Own(NodeProblem::Graph(error))
    }
}

impl From<OnnxError> for Problem {
    fn from(error: OnnxError) -> Problem {
        Problem::Within(Box::new(error))
    }
}

impl Problem {
    /// The error of the node that met the problem.
    pub fn at(self, node: String, op_type: String) -> OnnxError {
        match self {
            Problem::Own(problem) => OnnxError::Node { node, op_type, problem, source: None },
            Problem::Within(error) => {
                OnnxError::Node { node, op_type, problem: NodeProblem::Within, source: Some(error) }
            }
        }
    }
}

/// What is not honoured, and what to do instead.
pub fn unsupported(what: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem::Own(NodeProblem::Unsupported { what: what.into(), hint: hint.into() })
}
