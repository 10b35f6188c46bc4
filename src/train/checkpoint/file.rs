//! The bytes of a checkpoint: safetensors whose metadata say the rest as JSON, with a checksum.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde_json::{Map, Value};

use crate::graph::{DType, Data, Tensor};

/// The entry of the metadata: version, checksum and JSON, apart by spaces.
const ENTRY: &str = "seqfuse_checkpoint";
const VERSION: &str = "1";

/// Writes `head` and tensors, whose names differ.
///
/// # Errors
/// What cannot be written: text, or what the crate refuses.
pub(super) fn encode<'t>(
    head: &Value,
    tensors: impl IntoIterator<Item = (String, &'t Tensor)>,
) -> Result<Vec<u8>, String> {
    let head = head.to_string();
    let mut stored = BTreeMap::new();
    for (name, tensor) in tensors {
        let bytes = bytes_of(tensor).ok_or_else(|| format!("`{name}` is text"))?;
        stored.insert(name, (dtype_of(tensor), tensor.shape().to_vec(), bytes));
    }
    let mut views = Vec::with_capacity(stored.len());
    for (name, (dtype, shape, bytes)) in &stored {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        views.push((name.as_str(), view.map_err(|error| format!("`{name}`: {error}"))?));
    }
    let sum = checksum(&head, views.iter().map(|(name, view)| (*name, view)));
    let entry = format!("{VERSION} {sum:08x} {head}");
    let metadata = std::iter::once((ENTRY.to_owned(), entry)).collect();
    serialize(views, Some(metadata)).map_err(|error| error.to_string())
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// What is wrong with it: a part is missing, or the checksum says that something changed.
pub(super) fn decode(bytes: &[u8]) -> Result<(Value, BTreeMap<String, Tensor>), String> {
    let damaged = |error: safetensors::SafeTensorError| format!("it is damaged ({error})");
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let entry = metadata.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
    let entry = entry.ok_or("it is no checkpoint of training, or damaged")?;
    let (version, rest) = entry.split_once(' ').unwrap_or((entry, ""));
    let (sum, head) = rest.split_once(' ').unwrap_or((rest, ""));
    if version != VERSION {
        return Err(format!(
            "it is of version {version}, or damaged; this program reads {VERSION}"
        ));
    }
    let views: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    let found = checksum(head, views.iter().map(|(name, view)| (name.as_str(), view)));
    if u32::from_str_radix(sum, 16) != Ok(found) {
        return Err("it is damaged (the checksum differs)".to_owned());
    }
    let head = serde_json::from_str(head).map_err(|error| format!("it is damaged ({error})"))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in views {
        let tensor =
            tensor_of(&view).ok_or_else(|| format!("the type of `{name}` is not known"))?;
        tensors.insert(name, tensor);
    }
    Ok((head, tensors))
}

/// A checksum (CRC-32) of names, types, shapes and elements.
fn checksum<'v>(head: &str, views: impl Iterator<Item = (&'v str, &'v TensorView<'v>)>) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head.as_bytes());
    for (name, view) in views {
        sum.update(format!("\n{name} {:?} {:?}\n", view.dtype(), view.shape()).as_bytes());
        sum.update(view.data());
    }
    sum.finalize()
}

/// A checksum (CRC-32) of type, shape and elements.
pub(super) fn checksum_of(tensor: &Tensor) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(format!("{} {:?}\n", tensor.dtype(), tensor.shape()).as_bytes());
    match (tensor.data(), bytes_of(tensor)) {
        (_, Some(bytes)) => sum.update(&bytes),
        (Data::Str(texts), None) => {
            for text in texts {
                sum.update(&(text.len() as u64).to_le_bytes());
                sum.update(text.as_bytes());
            }
        }
        _ => {}
    }
    sum.finalize()
}

fn dtype_of(tensor: &Tensor) -> Dtype {
    match tensor.dtype() {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::F16 => Dtype::F16,
        DType::I8 => Dtype::I8,
        DType::I16 => Dtype::I16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::U16 => Dtype::U16,
        DType::U32 => Dtype::U32,
        DType::U64 => Dtype::U64,
        DType::Bool | DType::Str => Dtype::BOOL,
    }
}

/// The elements as bytes, little-endian; none of text.
fn bytes_of(tensor: &Tensor) -> Option<Vec<u8>> {
    tensor.data().to_le_bytes()
}

fn tensor_of(view: &TensorView<'_>) -> Option<Tensor> {
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::F16 => DType::F16,
        Dtype::I8 => DType::I8,
        Dtype::I16 => DType::I16,
        Dtype::I32 => DType::I32,
        Dtype::I64 => DType::I64,
        Dtype::U8 => DType::U8,
        Dtype::U16 => DType::U16,
        Dtype::U32 => DType::U32,
        Dtype::U64 => DType::U64,
        Dtype::BOOL => DType::Bool,
        _ => return None,
    };
    Tensor::new(view.shape().to_vec(), Data::from_le_bytes(dtype, view.data())?).ok()
}

/// An object of the head.
pub(super) fn object(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Object(Map::from_iter(entries))
}
