//! Losses: one number for every sample, before weights and the reduction over the batch.

mod dense;
mod sparse;

pub use dense::{Loss, LossGradient};
pub use sparse::{SparseCrossentropy, SparseCrossentropyGradient};

/// The losses whose targets are numbers, with their options.
pub use seqfuse_kernels::loss::Loss as LossKind;
