//! Products of matrices: `y = act(x · w + bias)`, and batches of products; and their gradients.

mod backward;
#[cfg(test)]
mod backward_tests;
mod cpu;
mod packed;
pub mod reference;
#[cfg(test)]
mod tests;

pub(crate) use backward::add_parts;
pub use backward::{backward, backward_workspace_len, batched_backward};
pub use cpu::{Batched, batched, matmul};
pub(crate) use cpu::{Matrix, add_product_on};
pub use packed::{PackedMatrix, matmul_packed};

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
