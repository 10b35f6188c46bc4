//! `.npy` and `.npz`: NumPy's arrays, alone and in a zip.
//!
//! Read: every width of integers and floats, booleans, strings (`U` code points and `S` UTF-8
//! bytes), both byte orders, both memory orders. Pickled objects, complex numbers, dates and
//! records are refused by name. Elements keep their type; the other byte order is turned round.

mod array;
mod header;
mod write;

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::FormatError;
use crate::graph::Tensor;
use crate::runtime::Tensors;

pub(crate) use array::in_training_types;
pub use array::read_npy;
pub use write::{write_npy, write_npz};

/// Bytes that the arrays of one file may unpack to …
const LIMIT: u64 = 8 << 30;
/// … for each byte of the archive, where they unpack to more than `EXPANSION_FROM`. Padded ids and
/// masks compress well, so this is generous; what is not data but a bomb lies near 1000.
const EXPANSION: u64 = 100;
const EXPANSION_FROM: u64 = 512 << 20;

/// Reads the arrays of an `.npz`, named as in NumPy and in the order of the archive.
///
/// # Errors
/// If the archive or an array is damaged, or an array has a type that is not read.
pub fn read_npz(bytes: &[u8]) -> Result<Tensors, FormatError> {
    if !bytes.starts_with(b"PK") {
        let found = match bytes {
            [] => "it is empty".to_owned(),
            _ if bytes.starts_with(header::MAGIC) => {
                "it is a single array; name it .npy".to_owned()
            }
            _ => "it does not begin as a zip archive does".to_owned(),
        };
        return Err(FormatError::WrongKind { expected: ".npz", found });
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| FormatError::Damaged {
        kind: "zip archive",
        source: Some(Box::new(error)),
    })?;
    // Readers differ in which of two members of one name they take.
    if zip.has_duplicate_names() {
        return Err(FormatError::Unsupported {
            what: "an archive that holds two arrays of the same name".to_owned(),
            hint: "save it again with numpy.savez".to_owned(),
        });
    }
    let (mut tensors, packed) = (Tensors::new(), bytes.len() as u64);
    let limit = LIMIT.min(packed.saturating_mul(EXPANSION).max(EXPANSION_FROM));
    let mut left = limit;
    for index in 0..zip.len() {
        if let Some((name, tensor)) = read_member(&mut zip, index, packed, limit, &mut left)? {
            tensors.insert(name, tensor);
        }
    }
    Ok(tensors)
}

fn read_member(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    packed: u64,
    limit: u64,
    left: &mut u64,
) -> Result<Option<(String, Tensor)>, FormatError> {
    let mut member = zip.by_index(index).map_err(|error| FormatError::Damaged {
        kind: "zip archive",
        source: Some(Box::new(error)),
    })?;
    if member.is_dir() {
        return Ok(None);
    }
    let path = member.name().map_err(|error| FormatError::Damaged {
        kind: "zip archive",
        source: Some(Box::new(error)),
    })?;
    let path = path.into_owned();
    let too_large = || FormatError::TooLarge {
        what: format!("array '{path}' of the archive"),
        limit,
        unit: "bytes",
    };
    if member.size() > *left {
        return Err(too_large());
    }
    // The size is a claim: reserve no more than the archive can back, and count what comes out.
    let mut bytes = Vec::with_capacity(member.size().min(packed) as usize);
    let read = (&mut member).take(*left + 1).read_to_end(&mut bytes);
    let size = read
        .map_err(|error| FormatError::Member { member: path.clone(), source: Box::new(error) })?;
    *left = left.checked_sub(size as u64).ok_or_else(too_large)?;
    let name = path.strip_suffix(".npy").unwrap_or(&path).to_owned();
    let tensor = array::read(&bytes, &format!("array '{name}'"))?;
    Ok(Some((name, tensor)))
}

#[cfg(test)]
mod tests;
