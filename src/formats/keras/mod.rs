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
pub mod custom;
mod document;
mod json;
pub mod layers;
pub mod legacy;
pub mod lower;
mod named;
pub mod naming;
mod source;
mod stored;
mod vocabulary;
pub mod weights;
mod write;

use std::collections::BTreeMap;

use archive::KerasArchive;
use config::Description;
pub use document::{Document, LayerGroup, SavedVariable};
pub(crate) use json::{parse as parse_json, shorten, show, to_python};
pub(crate) use named::NamedWeights;
use source::Source;
pub use stored::{Stored, StoredType};
pub(crate) use stored::{decode, encode};
use weights::WeightStore;
pub(crate) use weights::numbered;
pub use write::{version, write_archive, write_description, write_legacy};

use serde_json::Value;

use crate::formats::{FormatError, Loaded, ReadOptions};
use crate::graph::Tensor;

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
        let kept = lowered.document.keep_rest(&archive, weights, lowered.source.notes());
        kept.map_err(within)?;
    }
    Ok(Loaded { graph: lowered.graph, document: Some(lowered.document) })
}

/// What a file of named tensors holds beside the weights of layers.
pub(crate) struct NamedRest {
    /// The version of Keras that wrote the model, where the file says so.
    pub keras_version: Option<String>,
    /// The optimizer's state by path below `optimizer/`, in order.
    pub optimizer: Vec<(String, Tensor, Option<Stored>)>,
    /// Vocabularies and the like.
    pub assets: BTreeMap<String, Vec<u8>>,
}

/// Reads a model whose weights stand under the names that its Graph gives them.
pub(crate) fn read_named(
    config: &Value,
    weights: NamedWeights,
    rest: NamedRest,
    options: &ReadOptions,
) -> Result<Loaded, FormatError> {
    let description = Description::of_model(config, rest.keras_version)?;
    let source = Source::named(weights, rest.assets.clone(), options);
    let mut lowered = lower::lower(&description, source)?;
    let extras = lowered.source.take_named().map(NamedWeights::rest).into_iter().flatten();
    lowered.document.keep_named(rest.optimizer, extras.collect(), rest.assets);
    Ok(Loaded { graph: lowered.graph, document: Some(lowered.document) })
}

/// Reads a JSON description, whose variables are drawn from [`ReadOptions::seed`].
///
/// # Errors
/// If it is not of Keras's form, or holds what is not supported.
pub fn read_description(bytes: &[u8], options: &ReadOptions) -> Result<Loaded, FormatError> {
    let lowered = lower::lower(&Description::from_json(bytes, None)?, Source::seed(options))?;
    Ok(Loaded { graph: lowered.graph, document: Some(lowered.document) })
}

#[cfg(test)]
mod coverage_tests;
#[cfg(test)]
mod fixture_tests;
