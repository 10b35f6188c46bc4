//! File formats: one module each, its reader beside its writer.

pub mod description;
mod error;
pub mod keras;

pub use error::{FormatError, LoadError};
