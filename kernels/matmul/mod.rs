//! Products of matrices: `y = act(x · w + bias)`, and batches of products.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

pub use cpu::{Batched, batched, matmul};

/// The sizes of a product `[rows, depth] · [depth, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows of the left factor and of the result.
    pub rows: usize,
    /// Columns of the left factor, rows of the right one.
    pub depth: usize,
    /// Columns of the right factor and of the result.
    pub columns: usize,
}
