//! What no model needs: limits that keep damaged and hostile files from taking time and memory.

use super::error::OnnxError;

/// How deep graphs, functions and attributes may be nested.
pub const DEPTH: usize = 64;
/// How many nodes are read, those of functions counted at each call.
pub const NODES: usize = 100_000;
/// The most room that the messages of a file may take in memory, tensors' elements aside, in bytes.
pub const DECODED: usize = 1 << 28;
/// How many dimensions a tensor may have.
pub const RANK: usize = 64;
/// How many numbers and names the size of a dimension may be computed of.
pub const TERMS: usize = 4096;
/// The most elements of a value that is computed while the file is read.
pub const FOLDED: usize = 1 << 20;
/// The most elements of all such values.
pub const FOLDED_IN_ALL: usize = 1 << 24;
/// The most floating point operations that computing them takes.
pub const FOLDING: u64 = 1 << 30;

/// Refuses `found` where it is over `limit`.
///
/// # Errors
/// If it is.
pub fn check(what: &str, found: usize, limit: usize) -> Result<(), OnnxError> {
    match found <= limit {
        true => Ok(()),
        false => Err(OnnxError::Limit { what: format!("{what} ({found})"), limit: limit as u64 }),
    }
}
