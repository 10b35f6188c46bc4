//! Tensors of ONNX files: their elements lie in raw bytes, in typed fields, or in a file beside the model.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

use half::f16;
use seqfuse_kernels::mapped;

use super::error::OnnxError;
use super::proto::{StringEntry, TensorProto};
use crate::graph::{DType, Data, Tensor};

/// The number by which the format calls a tensor whose elements lie in a file of their own.
const EXTERNAL: i32 = 1;

/// Where the files of external tensors may lie.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    path: Option<PathBuf>,
}

impl Folder {
    /// The folder of the model's file; `None` for a model that was read from memory.
    pub fn new(path: Option<&Path>) -> Folder {
        Folder { path: path.map(Path::to_path_buf) }
    }
}

/// The element type of that number.
///
/// # Errors
/// If it is none, or one that nothing computes in; the message names it.
pub fn dtype(number: i32) -> Result<DType, String> {
    let name = match number {
        1 => return Ok(DType::F32),
        2 => return Ok(DType::U8),
        3 => return Ok(DType::I8),
        4 => return Ok(DType::U16),
        5 => return Ok(DType::I16),
        6 => return Ok(DType::I32),
        7 => return Ok(DType::I64),
        8 => return Ok(DType::Str),
        9 => return Ok(DType::Bool),
        10 => return Ok(DType::F16),
        11 => return Ok(DType::F64),
        12 => return Ok(DType::U32),
        13 => return Ok(DType::U64),
        14 => "complex64",
        15 => "complex128",
        16 => "bfloat16",
        17 => "float8e4m3fn",
        18 => "float8e4m3fnuz",
        19 => "float8e5m2",
        20 => "float8e5m2fnuz",
        21 => "uint4",
        22 => "int4",
        23 => "float4e2m1",
        24 => "float8e8m0",
        25 => "uint2",
        26 => "int2",
        0 => return Err("an element type that is not given".to_owned()),
        other => return Err(format!("the unknown element type {other}")),
    };
    Err(format!("element type {name}"))
}

/// Reads a tensor.
///
/// # Errors
/// If its elements are not all there, are of a type that is not supported, or lie outside the model's
/// folder.
pub fn read(proto: &TensorProto, folder: &Folder) -> Result<Tensor, OnnxError> {
    let name = if proto.name.is_empty() { "(unnamed)" } else { &proto.name };
    let refuse = |problem: String| OnnxError::Tensor { name: name.to_owned(), problem };
    if proto.segment.is_some() {
        return Err(refuse("it is one segment of a tensor; write it whole".to_owned()));
    }
    let ty = dtype(proto.data_type).map_err(|what| {
        refuse(format!("{what} is not supported; convert the model to float32 and int64"))
    })?;
    let (shape, count) = shape(proto).map_err(&refuse)?;
    let data = if proto.data_location == EXTERNAL {
        external(&proto.external_data, folder, ty, count)
    } else if let Some(raw) = &proto.raw_data {
        from_raw(raw, ty, count)
    } else {
        from_fields(proto, ty, count)
    };
    let data = data.map_err(&refuse)?;
    Tensor::new(shape, data).map_err(|error| refuse(error.to_string()))
}

/// Half precision computes in single precision: such a tensor is widened where it is read.
pub fn widened(tensor: Tensor) -> Tensor {
    match tensor.dtype() {
        DType::F16 => tensor.cast(DType::F32).unwrap_or(tensor),
        _ => tensor,
    }
}

/// The shape and how many elements it has, neither negative nor beyond what can be.
fn shape(proto: &TensorProto) -> Result<(Vec<usize>, usize), String> {
    let size = |&size: &i64| usize::try_from(size).ok();
    let shape: Option<Vec<usize>> = proto.dims.iter().map(size).collect();
    let shape = shape.ok_or_else(|| format!("its shape {:?} has a negative size", proto.dims))?;
    let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let count = count.filter(|count| count.checked_mul(8).is_some());
    let count = count.ok_or_else(|| format!("its shape {shape:?} is larger than memory can be"))?;
    Ok((shape, count))
}

/// Elements from little-endian bytes.
fn from_raw(bytes: &[u8], ty: DType, count: usize) -> Result<Data, String> {
    let needed = count.saturating_mul(ty.size());
    if ty == DType::Str {
        return Err("text cannot lie in raw bytes".to_owned());
    }
    if bytes.len() != needed {
        let found = bytes.len();
        return Err(format!("{count} elements of {ty} take {needed} bytes, there are {found}"));
    }
    Data::from_le_bytes(ty, bytes).ok_or_else(|| format!("{ty} does not lie in raw bytes"))
}

/// Elements from the field of their type.
fn from_fields(proto: &TensorProto, ty: DType, count: usize) -> Result<Data, String> {
    // Types without a field of their own lie in that of a wider one, which holds no more than they do.
    let (words, wide) = (proto.int32_data.iter(), proto.uint64_data.iter());
    let data = match ty {
        DType::F32 => Data::F32(proto.float_data.clone()),
        DType::F64 => Data::F64(proto.double_data.clone()),
        DType::F16 => Data::F16(words.map(|&bits| f16::from_bits(bits as u16)).collect()),
        DType::I8 => Data::I8(words.map(|&value| value as i8).collect()),
        DType::I16 => Data::I16(words.map(|&value| value as i16).collect()),
        DType::I32 => Data::I32(proto.int32_data.clone()),
        DType::I64 => Data::I64(proto.int64_data.clone()),
        DType::U8 => Data::U8(words.map(|&value| value as u8).collect()),
        DType::U16 => Data::U16(words.map(|&value| value as u16).collect()),
        DType::U32 => Data::U32(wide.map(|&value| value as u32).collect()),
        DType::U64 => Data::U64(proto.uint64_data.clone()),
        DType::Bool => Data::Bool(words.map(|&value| value != 0).collect()),
        DType::Str => {
            let text = |bytes: &prost::bytes::Bytes| String::from_utf8(bytes.to_vec());
            let texts = proto.string_data.iter().map(text).collect::<Result<_, _>>();
            Data::Str(texts.map_err(|_| "a text is not UTF-8".to_owned())?)
        }
    };
    match data.len() == count {
        true => Ok(data),
        false => Err(format!("its shape takes {count} elements, there are {}", data.len())),
    }
}

/// Elements from a part of a file beside the model, which is mapped: they are copied once.
fn external(
    entries: &[StringEntry],
    folder: &Folder,
    ty: DType,
    count: usize,
) -> Result<Data, String> {
    let entry = |key: &str| entries.iter().find(|entry| entry.key == key).map(|e| &e.value[..]);
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(value) => value.trim().parse::<u64>().map(Some).map_err(|_| {
            format!("its external data have {key} '{value}', expected a number of bytes")
        }),
    };
    let location = entry("location").ok_or("its external data name no file (location)")?;
    let path = inside(folder, location)?;
    let needed = (count as u64).saturating_mul(ty.size() as u64);
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?.unwrap_or(needed));
    if length != needed {
        return Err(format!("{count} elements of {ty} take {needed} bytes, not {length}"));
    }
    let fault = |error: std::io::Error| format!("its file '{location}' cannot be read: {error}");
    let file = File::open(&path).map_err(fault)?;
    let size = file.metadata().map_err(fault)?.len();
    if offset.checked_add(needed).is_none_or(|end| end > size) {
        return Err(format!(
            "its file '{location}' has {size} bytes; {needed} from {offset} on are needed"
        ));
    }
    let length = usize::try_from(needed).map_err(|_| format!("{needed} bytes are too many"))?;
    mapped::with_part(&file, offset, length, |bytes| from_raw(bytes, ty, count)).map_err(fault)?
}

/// The path of an external file, which must lie in the model's folder, links followed.
fn inside(folder: &Folder, location: &str) -> Result<PathBuf, String> {
    let Some(folder) = &folder.path else {
        return Err(format!(
            "its elements lie in the file '{location}'; open the model by its path, not from memory"
        ));
    };
    let outside = || format!("its file '{location}' lies outside the model's folder");
    let relative = Path::new(location);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        || location.contains('\\')
    {
        return Err(outside());
    }
    let fault = |error: std::io::Error| format!("its file '{location}' cannot be read: {error}");
    let folder = folder.canonicalize().map_err(fault)?;
    let path = folder.join(relative).canonicalize().map_err(fault)?;
    if !path.starts_with(&folder) {
        return Err(outside());
    }
    if !path.is_file() {
        return Err(format!("its file '{location}' is no regular file"));
    }
    Ok(path)
}
