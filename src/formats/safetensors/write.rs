//! Writes models as safetensors.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::{GRAPH, KERAS, OPTIMIZER, TYPES, VARS};
use crate::formats::keras::{Document, StoredType, encode, to_python};
use crate::formats::{FormatError, Written, graph};
use crate::graph::{Graph, Tensor};

/// Every header ends on such a boundary, so that tensors can be read in place.
const ALIGNMENT: usize = 8;

/// A tensor that waits for its place.
struct Waiting {
    ty: StoredType,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Writes a model as safetensors.
///
/// # Errors
/// If two tensors would have the same name.
pub fn write(graph: &Graph, document: &Document) -> Result<Written, FormatError> {
    let mut tensors = BTreeMap::new();
    let mut add = |name: String, path: &str, value: &Tensor| {
        let encoded = encode(value, document.stored.get(path));
        let (ty, bytes) = encoded.ok_or_else(|| refuse(format!("'{name}' is text, which")))?;
        let waiting = Waiting { ty, shape: value.shape().to_vec(), bytes };
        match tensors.insert(name.clone(), waiting) {
            None => Ok(()),
            Some(_) => Err(refuse(format!("a second tensor named '{name}'"))),
        }
    };
    for saved in &document.variables {
        let variable = graph.variable(saved.variable);
        add(variable.name.clone(), &saved.path, &variable.value)?;
    }
    for (below, value) in &document.optimizer {
        let name = below.strip_prefix(VARS).unwrap_or(below);
        add(format!("{OPTIMIZER}{name}"), &format!("{OPTIMIZER}{below}"), value)?;
    }
    for (path, value) in &document.extras {
        add(path.clone(), path, value)?;
    }
    Ok(Written { bytes: file(metadata(document), tensors), left_out: Vec::new() })
}

/// Writes a Graph as safetensors.
///
/// # Errors
/// If files cannot hold one of its operators or tensors.
pub fn write_graph(graph: &Graph) -> Result<Written, FormatError> {
    let (config, named) = graph::write(graph)?;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in named {
        let encoded = encode(&tensor, None);
        let (ty, bytes) = encoded.ok_or_else(|| refuse(format!("'{name}' is text, which")))?;
        let waiting = Waiting { ty, shape: tensor.shape().to_vec(), bytes };
        tensors.insert(name, waiting);
    }
    let mut metadata = Map::new();
    metadata.insert("format".to_owned(), GRAPH.into());
    metadata.insert("config".to_owned(), config.to_string().into());
    Ok(Written { bytes: file(metadata, tensors), left_out: Vec::new() })
}

fn refuse(what: String) -> FormatError {
    FormatError::Unwritable {
        what,
        format: ".safetensors",
        hint: "give the model's layers names that differ".to_owned(),
    }
}

fn metadata(document: &Document) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("format".to_owned(), KERAS.into());
    metadata.insert("config".to_owned(), to_python(&document.config).into());
    if let Some(compile) = &document.compile_config {
        let compile = to_python(&Value::Object(compile.clone()));
        metadata.insert("compile_config".to_owned(), compile.into());
    }
    if let Some(version) = &document.keras_version {
        metadata.insert("keras_version".to_owned(), version.clone().into());
    }
    if !document.assets.is_empty() {
        let assets: Map<String, Value> =
            document.assets.iter().map(|(path, bytes)| (path.clone(), asset(bytes))).collect();
        metadata.insert("assets".to_owned(), Value::Object(assets).to_string().into());
    }
    metadata
}

/// An asset as text, or in base64.
fn asset(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({"base64": BASE64_STANDARD.encode(bytes)}),
    }
}

/// The file. The crate's own writer puts `__metadata__` in the order of a hash map, which is another
/// one each time; here equal models give equal bytes. Wide elements come first, so that all are
/// aligned.
fn file(metadata: Map<String, Value>, tensors: BTreeMap<String, Waiting>) -> Vec<u8> {
    let mut tensors: Vec<_> = tensors.into_iter().collect();
    tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.ty.size()));
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), Value::Object(metadata));
    let mut end = 0;
    for (name, tensor) in &tensors {
        let start = end;
        end += tensor.bytes.len();
        let dtype = TYPES.iter().find(|(_, ty)| *ty == tensor.ty).map(|(dtype, _)| dtype);
        let entry = json!({"dtype": dtype, "shape": tensor.shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + end);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    tensors.iter().for_each(|(_, tensor)| bytes.extend_from_slice(&tensor.bytes));
    bytes
}
