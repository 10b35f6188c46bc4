//! Runtimes: what runs a Plan on a device, and the Session that feeds it.

#[cfg(feature = "gpu")]
pub(crate) mod auto;
mod bind;
mod carry;
#[cfg(feature = "gpu")]
pub(crate) mod choice;
pub mod cpu;
mod error;
mod evaluate;
mod feed;
mod fold;
#[cfg(feature = "gpu")]
pub mod gpu;
mod host;
mod options;
mod origin;
mod profile;
mod report;
mod select;
mod session;
mod stage;
mod tensors;

pub use error::RunError;
pub(crate) use evaluate::evaluate;
pub use options::{Device, Options};
pub use profile::{Profile, ProfileEntry};
pub use session::Session;
pub(crate) use stage::StageDevice;
pub use stage::{Placed, Placement};
pub use tensors::Tensors;
