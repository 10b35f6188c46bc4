//! What a model of Keras holds beside the Graph that it computes: enough to write it again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::archive::KerasArchive;
use super::config::Description;
use super::weights::WeightStore;
use crate::formats::FormatError;
use crate::graph::{Tensor, VariableId};

/// The parts of a Keras file that are not its Graph, and where in such files the Graph's Variables
/// lie. The Variables' values are the Graph's.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The model in the form of Keras 3's `config.json`, without `compile_config`.
    pub config: Value,
    /// Optimizer, loss and metrics, if the model was compiled.
    pub compile_config: Option<Map<String, Value>>,
    /// The version of Keras that wrote the file, where it says so.
    pub keras_version: Option<String>,
    /// Every Variable that files hold, each once.
    pub variables: Vec<SavedVariable>,
    /// For each layer of the outermost model the Variables that `.h5` files list under its name.
    pub groups: Vec<LayerGroup>,
    /// Vocabularies and the like, by their path below `assets/`.
    pub assets: BTreeMap<String, Vec<u8>>,
    /// The optimizer's state in Keras's order, by path below `optimizer/`: `vars/0`.
    pub optimizer: Vec<(String, Tensor)>,
    /// What else the file holds: the counters of random generators, by their whole path.
    pub extras: Vec<(String, Tensor)>,
}

/// A Variable of the Graph, and where Keras's files hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedVariable {
    /// The Variable.
    pub variable: VariableId,
    /// The layer that owns it, with the path of nested models.
    pub layer: String,
    /// Where `model.weights.h5` holds it: `layers/lstm/cell/vars/0`.
    pub path: String,
    /// Whether Keras counts it to the trainable weights.
    pub trainable: bool,
}

/// What `.h5` files hold for one layer of the outermost model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerGroup {
    /// The layer's name.
    pub layer: String,
    /// Positions in [`Document::variables`], in the order of the file: trainable ones first.
    pub variables: Vec<usize>,
}

impl Document {
    /// What a description says, without any weights.
    pub fn of(description: &Description) -> Document {
        Document {
            config: description.source.clone(),
            compile_config: description.compile_config.clone(),
            keras_version: description.keras_version.clone(),
            ..Document::default()
        }
    }

    /// What a `.keras` file holds beside its config and the weights of its layers.
    ///
    /// # Errors
    /// If the state of the optimizer cannot be read.
    pub fn keep_rest(
        &mut self,
        archive: &KerasArchive,
        weights: &WeightStore,
    ) -> Result<(), FormatError> {
        self.assets.clone_from(&archive.assets);
        let (optimizer, extras) = weights.rest()?;
        self.optimizer = optimizer;
        self.extras = extras;
        Ok(())
    }
}
