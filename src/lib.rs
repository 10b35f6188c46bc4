//! seqfuse: a compiler and runtime for sequence models.

#[cfg(feature = "cli")]
pub mod cli;
pub mod formats;
pub mod graph;
mod model;
pub mod ops;
pub mod passes;
pub mod plan;
pub mod runtime;
pub mod text;

pub use formats::{Format, ReadOptions};
pub use graph::{DType, Data, Tensor};
pub use model::Model;
pub use runtime::{Device, Options, RunError, Session, Tensors};
