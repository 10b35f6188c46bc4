//! The Graph as JSON, its tensors aside: the form in which safetensors hold models that come from ONNX.
//!
//! ```json
//! {"version": 1, "name": "model",
//!  "inputs": [{"name": "x", "type": {"dtype": "f32", "dims": ["batch", 4]}}],
//!  "variables": [{"name": "w", "kind": "parameter"}],
//!  "constants": [{"tensor": "constant/0"}],
//!  "nodes": [{"name": "y", "op": "MatMul", "attributes": null,
//!             "inputs": [{"input": 0}, {"variable": 0}], "outputs": 1}],
//!  "outputs": [{"name": "y", "value": {"node": [0, 0]}}], …}
//! ```
//!
//! A Variable's value is the tensor of its name, or within the body of an `If`, `Loop` or `Scan` the one
//! that it names; a constant's is the tensor that it names, or for text
//! stands in place.

mod bodies;
mod operators;
mod read;
mod write;

pub use read::read;
pub use write::write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::graph::TensorType;

/// The version of the form.
const VERSION: u32 = 1;

/// A Graph without its tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphForm {
    version: u32,
    name: String,
    inputs: Vec<InputForm>,
    variables: Vec<VariableForm>,
    constants: Vec<ConstantForm>,
    nodes: Vec<NodeForm>,
    outputs: Vec<OutputForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    updates: Vec<(usize, Place)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    layers: Vec<LayerForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    penalties: Vec<PenaltyForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    untrainable: Vec<(String, String)>,
    /// How many names of fresh sizes were given.
    fresh: usize,
    /// Whether an exporter spelled its layers out, which passes put together again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    exported: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputForm {
    name: String,
    r#type: TensorType,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VariableForm {
    name: String,
    kind: Kind,
    /// The factors of the sums of magnitudes and of squares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regularizer: Option<(f32, f32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraint: Option<ConstraintForm>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    kept: bool,
    /// Its tensor, where that is not the one of its name: in the bodies of operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tensor: Option<String>,
}

/// What a Variable is for; slots of optimizers are no part of a model.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Parameter,
    Frozen,
    Statistic,
    State,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConstraintForm {
    NonNegative,
    MaxNorm { maximum: f32, axes: Vec<usize> },
    UnitNorm { axes: Vec<usize> },
    MinMaxNorm { minimum: f32, maximum: f32, rate: f32, axes: Vec<usize> },
}

/// A constant: the name of its tensor, or texts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConstantForm {
    Tensor(String),
    Texts { shape: Vec<usize>, texts: Vec<String> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeForm {
    name: String,
    op: String,
    attributes: Value,
    inputs: Vec<Option<Place>>,
    /// How many outputs it has.
    outputs: usize,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Input(usize),
    Variable(usize),
    Constant(usize),
    Node(usize, usize),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputForm {
    name: String,
    value: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask: Option<Place>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerForm {
    name: String,
    class: String,
    outputs: Vec<Place>,
    variables: Vec<usize>,
    connected_to: Vec<String>,
    depth: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PenaltyForm {
    name: String,
    value: Place,
    l1: f32,
    l2: f32,
}
