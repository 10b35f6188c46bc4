//! Runtimes: what runs a Plan on a device, and the Session that feeds it.

pub mod cpu;
mod error;
mod feed;
mod host;
mod profile;
mod session;
mod tensors;

pub use error::RunError;
pub use profile::{Profile, ProfileEntry};
pub use session::{Device, Options, Session};
pub use tensors::Tensors;
//! Runtimes: CPU, GPU, Session.

#[cfg(feature = "gpu")]
pub mod gpu;
