//! Rows of a table by number, and the masks that padding gives.

mod cpu;
#[cfg(test)]
mod tests;

pub use cpu::{gather, gather_backward, mask_not_equal, masking};

use std::fmt;

/// An id that names no row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdOutOfRange {
    /// Where in the list of ids it stands.
    pub position: usize,
    /// The id itself.
    pub id: i64,
    /// Rows of the table.
    pub vocabulary: usize,
}

impl fmt::Display for IdOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IdOutOfRange { position, id, vocabulary } = self;
        write!(f, "id {id} at position {position} is outside the vocabulary of {vocabulary} rows")
    }
}

impl std::error::Error for IdOutOfRange {}
