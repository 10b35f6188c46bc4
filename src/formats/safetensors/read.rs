//! Reads safetensors that hold a model's configuration.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::{GRAPH, KERAS, OPTIMIZER, TYPES, VARS};
use crate::formats::keras::{
    self, NamedRest, NamedWeights, Stored, StoredType, decode, parse_json,
};
use crate::formats::{FormatError, Loaded, ReadOptions, graph};
use crate::graph::{DType, Data, Graph, Tensor};

/// What the header says of the model, as texts.
struct Metadata {
    config: Value,
    keras_version: Option<String>,
    assets: BTreeMap<String, Vec<u8>>,
}

/// Reads a model.
///
/// # Errors
/// If the file is damaged, or holds no model that is supported.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Loaded, FormatError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| FormatError::Damaged {
        kind: "safetensors file",
        source: Some(error.to_string().into()),
    })?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| FormatError::Damaged {
        kind: "safetensors file",
        source: Some(error.to_string().into()),
    })?;
    let entry = |key: &str| header.metadata().as_ref()?.get(key).map(String::as_str);
    if entry("format") == Some(GRAPH) {
        let graph = read_graph(entry("config"), &file)?;
        return Ok(Loaded { graph, document: None });
    }
    let metadata = Metadata::parse(entry)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let found = TYPES.iter().find(|(dtype, _)| *dtype == view.dtype());
        let (_, ty) = found.ok_or_else(|| FormatError::WeightType {
            path: keras::shorten(&name),
            found: format!("{:?}", view.dtype()),
        })?;
        let decoded = decode(*ty, view.shape().to_vec(), view.data());
        let decoded = decoded.ok_or_else(|| FormatError::Malformed {
            place: format!("tensor '{}'", keras::shorten(&name)),
            expected: "elements that fit its shape, integers up to 2^63 - 1".to_owned(),
            found: format!("{} bytes for {:?}", view.data().len(), view.shape()),
        })?;
        tensors.insert(name, decoded);
    }
    let optimizer = take_optimizer(&mut tensors);
    let weights = NamedWeights::new(tensors);
    let rest =
        NamedRest { keras_version: metadata.keras_version, optimizer, assets: metadata.assets };
    keras::read_named(&metadata.config, weights, rest, options)
}

/// Reads a Graph and its tensors.
fn read_graph(config: Option<&str>, file: &SafeTensors<'_>) -> Result<Graph, FormatError> {
    let text = config.ok_or_else(|| FormatError::MissingMember {
        member: "config".to_owned(),
        hint: "write the file again with `seqfuse convert`".to_owned(),
    })?;
    let config = parse_json("config", text.as_bytes())?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let dtype = dtype(view.dtype());
        let data = dtype.and_then(|dtype| Data::from_le_bytes(dtype, view.data()));
        let tensor = data.and_then(|data| Tensor::new(view.shape(), data).ok());
        let tensor = tensor.ok_or_else(|| FormatError::WeightType {
            path: keras::shorten(&name),
            found: format!("{:?}", view.dtype()),
        })?;
        tensors.insert(name, tensor);
    }
    graph::read(&config, tensors)
}

/// The element type of a Graph's tensor.
fn dtype(dtype: Dtype) -> Option<DType> {
    DType::ALL.iter().copied().find(|known| {
        let stored = StoredType::of(*known);
        TYPES.iter().any(|(found, ty)| *found == dtype && stored == Some(*ty))
    })
}

/// The optimizer's state under Keras's paths, in order.
fn take_optimizer(
    tensors: &mut BTreeMap<String, (Tensor, Option<Stored>)>,
) -> Vec<(String, Tensor, Option<Stored>)> {
    let names: Vec<String> =
        tensors.keys().filter(|name| name.starts_with(OPTIMIZER)).cloned().collect();
    let mut state: Vec<(String, Tensor, Option<Stored>)> = names
        .into_iter()
        .filter_map(|name| {
            let (tensor, stored) = tensors.remove(&name)?;
            let below = name.strip_prefix(OPTIMIZER)?;
            let path =
                if below.contains('/') { below.to_owned() } else { format!("{VARS}{below}") };
            Some((path, tensor, stored))
        })
        .collect();
    state.sort_by_key(|(path, ..)| keras::numbered(path));
    state
}

impl Metadata {
    fn parse<'a>(entry: impl Fn(&str) -> Option<&'a str>) -> Result<Metadata, FormatError> {
        match entry("format") {
            Some(KERAS) => {}
            other => {
                let what = match other {
                    None => "a safetensors file that holds weights alone".to_owned(),
                    Some(format) => {
                        format!("a safetensors file of format '{}'", keras::shorten(format))
                    }
                };
                return Err(FormatError::Unsupported {
                    what,
                    hint: "it says nothing of the model's layers; open the whole model (.keras or \
                           .h5) and write it with `seqfuse convert`"
                        .to_owned(),
                });
            }
        }
        let text = entry("config").ok_or_else(|| FormatError::MissingMember {
            member: "config".to_owned(),
            hint: "write the file again with `seqfuse convert`".to_owned(),
        })?;
        let mut config = parse_json("config", text.as_bytes())?;
        if let Some(compile) = entry("compile_config") {
            let compile = parse_json("compile_config", compile.as_bytes())?;
            let object = config.as_object_mut();
            object.and_then(|config| config.insert("compile_config".to_owned(), compile));
        }
        let assets = entry("assets").map_or(Ok(BTreeMap::new()), assets)?;
        Ok(Metadata { config, keras_version: entry("keras_version").map(str::to_owned), assets })
    }
}

fn assets(text: &str) -> Result<BTreeMap<String, Vec<u8>>, FormatError> {
    let malformed = |found: &Value| FormatError::Malformed {
        place: "assets".to_owned(),
        expected: "an object from path to text, or to {\"base64\": …}".to_owned(),
        found: keras::show(found),
    };
    let parsed = parse_json("assets", text.as_bytes())?;
    let Value::Object(entries) = &parsed else { return Err(malformed(&parsed)) };
    let asset = |(path, value): (&String, &Value)| {
        let bytes = match (value, value.get("base64")) {
            (Value::String(text), _) => text.clone().into_bytes(),
            (_, Some(Value::String(text))) => {
                BASE64_STANDARD.decode(text).map_err(|_| malformed(value))?
            }
            _ => return Err(malformed(value)),
        };
        Ok((path.clone(), bytes))
    };
    entries.iter().map(asset).collect()
}
