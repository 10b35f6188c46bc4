//! Writes arrays in NumPy's forms.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::header::MAGIC;
use crate::formats::FormatError;
use crate::graph::{DType, Data, Tensor};
use crate::runtime::Tensors;

/// The bytes of a `.npy` that holds `tensor`; texts are of NumPy's type `U`.
pub fn write_npy(tensor: &Tensor) -> Vec<u8> {
    let (code, elements) = encode(tensor.data());
    let sizes: String = tensor.shape().iter().map(|size| format!("{size}, ")).collect();
    let sizes = match tensor.shape() {
        // Python's tuple of one element ends with a comma, others need none.
        [_] => sizes.trim_end().to_owned(),
        _ => sizes.trim_end_matches(", ").to_owned(),
    };
    let mut header = format!("{{'descr': '{code}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // Elements begin at a multiple of 64, so that NumPy can map the file.
    let long = header.len() + 1 + 10 + 63 > usize::from(u16::MAX);
    let before = MAGIC.len() + 2 + if long { 4 } else { 2 };
    let padding = 63 - (before + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = Vec::with_capacity(before + header.len() + elements.len());
    bytes.extend_from_slice(MAGIC);
    if long {
        bytes.extend_from_slice(&[2, 0]);
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
    } else {
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    }
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&elements);
    bytes
}

/// The bytes of an `.npz` that holds `tensors` under their names, in their order.
///
/// # Errors
/// If a name is none that a zip archive takes.
pub fn write_npz(tensors: &Tensors) -> Result<Vec<u8>, FormatError> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // As numpy.savez: stored, not deflated.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, tensor) in tensors.iter() {
        let bytes = write_npy(tensor);
        let options = options.large_file(bytes.len() as u64 >= u64::from(u32::MAX));
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| FormatError::Member {
            member: name.to_owned(),
            source,
        };
        zip.start_file(format!("{name}.npy"), options).map_err(|error| failed(error.into()))?;
        zip.write_all(&bytes).map_err(|error| failed(error.into()))?;
    }
    let done = zip.finish().map_err(|error| FormatError::Member {
        member: "the archive's directory".to_owned(),
        source: error.into(),
    })?;
    Ok(done.into_inner())
}

fn encode(data: &Data) -> (String, Vec<u8>) {
    let code = match data.dtype() {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::F16 => "<f2",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
        DType::Bool => "|b1",
        DType::Str => "",
    };
    let Data::Str(texts) = data else {
        return (code.to_owned(), data.to_le_bytes().unwrap_or_default());
    };
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let mut bytes = Vec::with_capacity(texts.len() * width * 4);
    for text in texts {
        let points = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
        points.for_each(|point| bytes.extend_from_slice(&point.to_le_bytes()));
    }
    (format!("<U{width}"), bytes)
}
