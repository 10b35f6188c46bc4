//! The elements of a `.npy`.

use half::f16;

use super::header::{Header, TypeCode};
use crate::formats::FormatError;
use crate::graph::{DType, Data, Held, Tensor, each_data};

/// Reads a `.npy`.
///
/// # Errors
/// If it is damaged, or of a type that is not read.
pub fn read_npy(bytes: &[u8]) -> Result<Tensor, FormatError> {
    read(bytes, "the array")
}

/// Reads a `.npy` that errors call `place`.
pub(super) fn read(bytes: &[u8], place: &str) -> Result<Tensor, FormatError> {
    let (header, rest) = Header::read(bytes, place)?;
    let malformed = |expected: String| FormatError::Malformed {
        place: place.to_owned(),
        expected,
        found: format!("{} bytes", rest.len()),
    };
    let size = header.code.bytes();
    let count = header.shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let needed = count.and_then(|count| count.checked_mul(size));
    let (Some(count), Some(needed)) = (count, needed) else {
        return Err(malformed(format!("a shape that memory can hold, not {:?}", header.shape)));
    };
    let Some(elements) = rest.get(..needed) else {
        return Err(malformed(format!("{needed} bytes for shape {:?}", header.shape)));
    };
    if rest.len() > needed {
        return Err(malformed(format!(
            "{needed} bytes for shape {:?} and nothing behind",
            header.shape
        )));
    }
    // Strings of no width take no bytes, so the file's length does not bound their number.
    if size == 0 && count > (1 << 24) {
        return Err(malformed(format!("fewer empty texts than shape {:?} has", header.shape)));
    }
    let mut data = decode(elements, header.code, count, place)?;
    if header.fortran_order && header.shape.len() > 1 {
        data = to_row_major(data, &header.shape);
    }
    Tensor::new(header.shape.clone(), data).map_err(|error| FormatError::Malformed {
        place: place.to_owned(),
        expected: "as many elements as the shape says".to_owned(),
        found: error.to_string(),
    })
}

fn decode(bytes: &[u8], code: TypeCode, count: usize, place: &str) -> Result<Data, FormatError> {
    let big = code.big_endian;
    macro_rules! numbers {
        ($t:ty) => {
            Held::hold(numbers(bytes, |chunk: [u8; size_of::<$t>()]| {
                if big { <$t>::from_be_bytes(chunk) } else { <$t>::from_le_bytes(chunk) }
            }))
        };
    }
    Ok(match (code.kind, code.size) {
        ('b', _) => bytes.iter().map(|&byte| byte != 0).collect::<Vec<bool>>().into(),
        ('f', 2) => numbers!(f16),
        ('f', 4) => numbers!(f32),
        ('f', _) => numbers!(f64),
        ('i', 1) => numbers!(i8),
        ('i', 2) => numbers!(i16),
        ('i', 4) => numbers!(i32),
        ('i', _) => numbers!(i64),
        ('u', 1) => numbers!(u8),
        ('u', 2) => numbers!(u16),
        ('u', 4) => numbers!(u32),
        ('u', _) => numbers!(u64),
        ('U', _) => texts(bytes, code, count, |cell| code_points(cell, big), place)?.into(),
        _ => texts(bytes, code, count, utf8, place)?.into(),
    })
}

fn numbers<const SIZE: usize, T>(bytes: &[u8], convert: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<SIZE>();
    chunks.iter().map(|chunk| convert(*chunk)).collect()
}

/// Cuts fixed cells into texts; NumPy pads them with zeros at the end.
fn texts(
    bytes: &[u8],
    code: TypeCode,
    count: usize,
    decode: impl Fn(&[u8]) -> Option<String>,
    place: &str,
) -> Result<Vec<String>, FormatError> {
    let size = code.bytes();
    let cell = |index: usize| bytes.get(index * size..(index + 1) * size).unwrap_or_default();
    let text = |index: usize| {
        decode(cell(index)).ok_or_else(|| FormatError::Malformed {
            place: place.to_owned(),
            expected: "valid Unicode".to_owned(),
            found: format!("other bytes in text {index}"),
        })
    };
    (0..count).map(text).collect()
}

fn utf8(cell: &[u8]) -> Option<String> {
    let end = cell.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    String::from_utf8(cell[..end].to_vec()).ok()
}

fn code_points(cell: &[u8], big: bool) -> Option<String> {
    let points: Vec<u32> =
        numbers(
            cell,
            |chunk: [u8; 4]| {
                if big { u32::from_be_bytes(chunk) } else { u32::from_le_bytes(chunk) }
            },
        );
    let end = points.iter().rposition(|&point| point != 0).map_or(0, |last| last + 1);
    points[..end].iter().map(|&point| char::from_u32(point)).collect()
}

/// Elements with the first index running fastest, put in the order in which the last one does.
fn to_row_major(data: Data, shape: &[usize]) -> Data {
    each_data!(data, v => Held::hold(reorder(&v, shape)))
}

fn reorder<T: Clone>(from: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    shape.iter().fold(1usize, |stride, &size| {
        strides.push(stride);
        stride * size
    });
    let mut into = Vec::with_capacity(from.len());
    let mut index = vec![0usize; shape.len()];
    for _ in 0..from.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
        into.extend(from.get(at).cloned());
        for (i, &size) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < size {
                break;
            }
            *i = 0;
        }
    }
    into
}

/// The tensor in the types that training knows: floats as `f32`, rounded as NumPy's `astype` does;
/// integers as `i32` where that type holds all of theirs, else as `i64`.
///
/// # Errors
/// If an integer is above 2^63 - 1.
pub fn in_training_types(name: &str, tensor: Tensor) -> Result<Tensor, FormatError> {
    let to = match tensor.dtype() {
        DType::F32 | DType::I32 | DType::I64 | DType::Bool | DType::Str => return Ok(tensor),
        DType::F64 | DType::F16 => DType::F32,
        DType::I8 | DType::I16 | DType::U8 | DType::U16 => DType::I32,
        DType::U32 | DType::U64 => DType::I64,
    };
    let malformed = |found: String| FormatError::Malformed {
        place: format!("array '{name}'"),
        expected: "integers below 2^63".to_owned(),
        found,
    };
    if let Data::U64(values) = tensor.data()
        && let Some(large) = values.iter().find(|&&value| i64::try_from(value).is_err())
    {
        return Err(malformed(large.to_string()));
    }
    tensor.cast(to).map_err(|error| malformed(error.to_string()))
}
