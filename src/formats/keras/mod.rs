//! Models of Keras: the `.keras` archive, descriptions in Keras's JSON form, and in [`legacy`] HDF5.
//!
//! A file is read in three steps that know nothing of each other: [`archive`] unpacks the zip,
//! [`config`] turns `config.json` into a typed tree, [`weights`] gives the tensors of
//! `model.weights.h5` by path. [`naming`] is the rule by which Keras derives those paths.
//!
//! [`lower`] walks the tree and calls [`layers`], which add operators to the Graph.
//!
//! # Adding a layer
//! One file `layers/<layer>.rs` that implements [`layers::KerasLayer`], and one row in the table of
//! `layers/mod.rs`. Options are read in `parse` and nowhere else; a layer names its variables by
//! their path below its folder, so one that is shared or nested needs no code of its own.
//! Operators on tensors (`x + y`, `keras.ops.*`) have a table of their own in `layers/operators`.

pub mod archive;
pub mod config;
mod document;
mod json;
pub mod layers;
pub mod legacy;
pub mod lower;
pub mod naming;
mod source;
pub mod weights;

use archive::KerasArchive;
use config::Description;
pub use document::{Document, LayerGroup, SavedVariable};
use source::Source;
use weights::WeightStore;

use crate::formats::{FormatError, Loaded, ReadOptions};

/// Reads a `.keras` file.
///
/// # Errors
/// If it is damaged, or holds what is not supported.
pub fn read(bytes: &[u8], options: &ReadOptions) -> Result<Loaded, FormatError> {
    let mut archive = KerasArchive::read(bytes)?;
    let description = Description::from_archive(&archive)?;
    let within = |error: FormatError| error.in_member(archive::WEIGHTS);
    let weights = WeightStore::open(std::mem::take(&mut archive.weights)).map_err(within)?;
    let source = Source::file(weights, archive.assets.clone(), options);
    let mut lowered = lower::lower(&description, source).map_err(within)?;
    if let Some(weights) = lowered.source.weights() {
        lowered.document.keep_rest(&archive, weights).map_err(within)?;
    }
    Ok(Loaded { graph: lowered.graph, document: lowered.document })
}

/// Reads a JSON description, whose variables are drawn from [`ReadOptions::seed`].
///
/// # Errors
/// If it is not of Keras's form, or holds what is not supported.
pub fn read_description(bytes: &[u8], options: &ReadOptions) -> Result<Loaded, FormatError> {
    let lowered = lower::lower(&Description::from_json(bytes, None)?, Source::seed(options))?;
    Ok(Loaded { graph: lowered.graph, document: lowered.document })
}

#[cfg(test)]
mod fixture_tests;
