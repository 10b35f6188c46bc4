//! What a model of Keras holds beside the Graph that it computes: enough to write it again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::archive::KerasArchive;
use super::config::Description;
use super::source::Notes;
use super::stored::Stored;
use super::weights::WeightStore;
use crate::formats::{FormatError, Labels};
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
    /// What else the file holds, by its whole path: the counters of random generators, the weights of
    /// a vocabulary.
    pub extras: Vec<(String, Tensor)>,
    /// How the file stores what is held here in another type, by path in `model.weights.h5`.
    pub stored: BTreeMap<String, Stored>,
    /// The names that `model.weights.h5` records for its folders.
    pub folder_names: BTreeMap<String, String>,
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

/// The names of a classifier's classes, as [`Labels`] spells them, below `assets/`, where Keras passes over it.
const LABELS: &str = "seqfuse/labels.txt";

impl Document {
    /// The names of the classes that the model tells apart, as far as its file holds them.
    pub fn labels(&self) -> Labels {
        self.labels_text().map_or_else(Labels::new, Labels::parse)
    }

    /// Puts in names of classes, in place of those that there are.
    ///
    /// # Errors
    /// As [`Labels::to_text`].
    pub fn set_labels(&mut self, labels: &Labels) -> Result<(), FormatError> {
        self.assets.insert(LABELS.to_owned(), labels.to_text()?.into_bytes());
        Ok(())
    }

    /// The names of the classes as a file holds them, to be kept where there are no assets.
    pub(super) fn labels_text(&self) -> Option<&str> {
        std::str::from_utf8(self.assets.get(LABELS)?).ok()
    }

    /// Takes the names of the classes as a file holds them.
    pub(super) fn take_labels_text(&mut self, text: Option<String>) {
        self.assets.extend(text.map(|text| (LABELS.to_owned(), text.into_bytes())));
    }

    /// Whether `path` is the file of the names of the classes.
    pub(super) fn is_labels(path: &str) -> bool {
        path == LABELS
    }

    /// What a description says, without any weights.
    pub fn of(description: &Description) -> Document {
        Document {
            config: description.source.clone(),
            compile_config: description.compile_config.clone(),
            keras_version: description.keras_version.clone(),
            ..Document::default()
        }
    }

    /// What a file of named tensors holds beside its config and the weights of its layers.
    pub(super) fn keep_named(
        &mut self,
        optimizer: Vec<(String, Tensor, Option<Stored>)>,
        extras: Vec<(String, (Tensor, Option<Stored>))>,
        assets: BTreeMap<String, Vec<u8>>,
    ) {
        self.keep_assets(&assets);
        for (path, tensor, form) in optimizer {
            self.stored.extend(form.map(|form| (format!("optimizer/{path}"), form)));
            self.optimizer.push((path, tensor));
        }
        for (path, (tensor, form)) in extras {
            self.stored.extend(form.map(|form| (path.clone(), form)));
            self.extras.push((path, tensor));
        }
    }

    /// Keeps a file's assets, but for vocabularies in whose place the user gave one.
    fn keep_assets(&mut self, assets: &BTreeMap<String, Vec<u8>>) {
        for (path, bytes) in assets {
            self.assets.entry(path.clone()).or_insert_with(|| bytes.clone());
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
        notes: &Notes,
    ) -> Result<(), FormatError> {
        self.keep_assets(&archive.assets);
        self.keep_weights(weights, notes)
    }

    /// What the weights by path hold beside those of layers.
    ///
    /// # Errors
    /// If the state of the optimizer cannot be read.
    pub fn keep_weights(
        &mut self,
        weights: &WeightStore,
        notes: &Notes,
    ) -> Result<(), FormatError> {
        let rest = weights.rest(&notes.aside)?;
        self.optimizer = rest.optimizer;
        self.extras = rest.extras;
        self.stored.extend(rest.stored);
        self.folder_names.clone_from(weights.layer_names());
        Ok(())
    }
}
