//! Checkpoints: all that training needs to go on, to the bit, where it was broken off.
//!
//! A folder holds two files of safetensors, the newest and the one before. A file is written beside
//! its place, synced, and moved there, so that a kill at any moment, or a full disk, leaves a whole
//! one. It holds every Variable (parameters, statistics, recurrent states, optimizer slots), the
//! place in the epochs, the meters of the epoch that runs, the history and the state of callbacks.
//! The order of rows and dropout follow from the seed, the epoch and the count of batches. A
//! checksum over all of it finds damage; a fingerprint refuses another model, settings or data.

mod file;
mod fingerprint;
mod folder;
mod snapshot;
#[cfg(test)]
mod tests;

pub(super) use fingerprint::fingerprint;
pub(super) use folder::{Folder, Parts};
pub(super) use snapshot::{Place, Snapshot};
