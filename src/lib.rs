//! seqfuse: a compiler and runtime for sequence models.

pub mod formats;
pub mod graph;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod runtime;
pub mod text;
