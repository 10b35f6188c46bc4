//! Runtimes: CPU, GPU, Session.

#[cfg(feature = "gpu")]
pub mod gpu;
