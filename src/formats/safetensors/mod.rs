//! safetensors: a header of JSON that names tensors, and their bytes.
//!
//! A model's weights stand under the names that its Graph gives them, such as
//! `bidirectional/forward_lstm/lstm_cell/kernel`; the optimizer's state as `optimizer/<i>` in Keras's
//! order; what else a `.keras` file holds (counters of random generators, weights of a vocabulary)
//! under its path there. `__metadata__` holds, all as texts: `format` (`keras`), `config` and
//! `compile_config` (the JSON of Keras's `config.json`), `keras_version`, and `assets` (a JSON object
//! from path to text, or to `{"base64": …}` where an asset is no text).
//!
//! A model that comes from ONNX has the `format` `graph`: `config` is its Graph ([`graph`]), its weights
//! stand under the names of the initializers.
//!
//! [`graph`]: crate::formats::graph

mod read;
mod write;

pub use read::read;
pub use write::{write, write_graph};

use crate::formats::keras::StoredType;
use safetensors::Dtype;

/// The element types of both sides.
const TYPES: [(Dtype, StoredType); 13] = [
    (Dtype::F16, StoredType::F16),
    (Dtype::BF16, StoredType::Bf16),
    (Dtype::F32, StoredType::F32),
    (Dtype::F64, StoredType::F64),
    (Dtype::I8, StoredType::I8),
    (Dtype::I16, StoredType::I16),
    (Dtype::I32, StoredType::I32),
    (Dtype::I64, StoredType::I64),
    (Dtype::U8, StoredType::U8),
    (Dtype::U16, StoredType::U16),
    (Dtype::U32, StoredType::U32),
    (Dtype::U64, StoredType::U64),
    (Dtype::BOOL, StoredType::Bool),
];

/// The value of `format` for models in Keras's form.
const KERAS: &str = "keras";
/// The value of `format` for graphs of operators.
const GRAPH: &str = "graph";
/// What stands before the numbers of the optimizer's state, in names and in Keras's paths.
const OPTIMIZER: &str = "optimizer/";
/// What stands between that and the number in Keras's paths.
const VARS: &str = "vars/";
