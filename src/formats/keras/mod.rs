//! Keras 3 models: the `.keras` archive, and descriptions in Keras's JSON form.
//!
//! A file is read in three steps that know nothing of each other: [`archive`] unpacks the zip,
//! [`config`] turns `config.json` into a typed tree, [`weights`] gives the tensors of
//! `model.weights.h5` by path. [`naming`] is the rule by which Keras derives those paths.
//!
//! # Adding a layer
//! One file `layers/<layer>.rs` and one row in the table of `layers/mod.rs`. The file implements
//! `KerasLayer`:
//!
//! ```text
//! trait KerasLayer {
//!     /// Class names it is saved under ("LSTM").
//!     const CLASSES: &'static [&'static str];
//!     /// Its options; `Options::finish` refuses what was not read.
//!     fn parse(config: &LayerConfig) -> Result<Self, FormatError>;
//!     /// Its Variables for input shapes: path below its folder ("cell/vars/0"), name ("kernel"),
//!     /// shape, initializer, whether it is trained.
//!     fn variables(&self, inputs: &[Shape]) -> Result<Vec<VariableSpec>, FormatError>;
//!     /// Adds one call to the Graph, and says which mask leaves it.
//!     fn call(&self, call: Call<'_>) -> Result<Outputs, FormatError>;
//! }
//! ```
//!
//! Options are read in `parse` and nowhere else; a layer asks for weights by [`config::LayerConfig`]'s
//! folder, so a layer that is shared or nested needs no code of its own.

pub mod archive;
pub mod config;
mod json;
pub mod naming;
pub mod weights;

#[cfg(test)]
mod fixture_tests;
