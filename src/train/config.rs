//! How a model is trained: Keras's `fit` arguments.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::data::Dataset;
use super::{CompileConfig, TrainError, state};
use crate::model::Model;
use crate::runtime::{Options, Profile};

/// How a model is trained. The defaults are Keras's.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    pub(super) compile: Map<String, Value>,
    pub(super) options: Options,
    pub(super) epochs: usize,
    pub(super) initial_epoch: usize,
    pub(super) batch_size: usize,
    pub(super) shuffle: bool,
    pub(super) seed: u64,
    pub(super) validation: Option<Dataset>,
    pub(super) validation_split: Option<f64>,
    pub(super) validation_batch_size: Option<usize>,
    pub(super) class_weight: Vec<(i64, f32)>,
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) checkpoint_every: Option<usize>,
    pub(super) resume: bool,
    pub(super) profiles: Option<Arc<Mutex<Vec<Profile>>>>,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        TrainConfig {
            compile: Map::new(),
            options: Options::default(),
            epochs: 1,
            initial_epoch: 0,
            batch_size: 32,
            shuffle: true,
            seed: 0,
            validation: None,
            validation_split: None,
            validation_batch_size: None,
            class_weight: Vec::new(),
            checkpoint: None,
            checkpoint_every: None,
            resume: false,
            profiles: None,
        }
    }
}

impl TrainConfig {
    /// The defaults: one epoch of batches of 32 rows, shuffled, with what the model was compiled
    /// with.
    pub fn new() -> TrainConfig {
        TrainConfig::default()
    }

    /// Sets the optimizer: a name, or Keras's serialized form.
    pub fn optimizer(self, optimizer: impl Into<Value>) -> TrainConfig {
        self.set("optimizer", optimizer)
    }

    /// Sets the learning rate: a number, or a schedule in Keras's serialized form.
    pub fn learning_rate(self, rate: impl Into<Value>) -> TrainConfig {
        self.set("learning_rate", rate)
    }

    /// Sets the loss: a name or Keras's serialized form, one for all outputs, a list, or an object
    /// by output.
    pub fn loss(self, loss: impl Into<Value>) -> TrainConfig {
        self.set("loss", loss)
    }

    /// Sets the metrics, in any of the forms that Keras's `compile` takes.
    pub fn metrics(self, metrics: impl Into<Value>) -> TrainConfig {
        self.set("metrics", metrics)
    }

    /// Sets an entry of Keras's `compile_config` over the model's own.
    pub fn set(mut self, name: &str, value: impl Into<Value>) -> TrainConfig {
        self.compile.insert(name.to_owned(), value.into());
        self
    }

    /// What `model` is trained by: what it was compiled with, and what is set over that.
    ///
    /// # Errors
    /// If a setting is missing, not known or not honoured, or does not fit the model's outputs.
    pub fn compiled(&self, model: &Model) -> Result<CompileConfig, TrainError> {
        let compiled = model.document().and_then(|document| document.compile_config.clone());
        let settings = state::merge(compiled.unwrap_or_default(), &self.compile);
        let compile = CompileConfig::from_json(&settings)?;
        let names = model.graph().outputs().iter().map(|output| output.name.clone());
        compile.for_outputs(&names.collect::<Vec<_>>())?;
        Ok(compile)
    }

    /// Sets threads and kernels.
    pub fn options(mut self, options: Options) -> TrainConfig {
        self.options = options;
        self
    }

    /// Times every node of every step of training and appends the profiles to `profiles`.
    pub fn profile(mut self, profiles: Arc<Mutex<Vec<Profile>>>) -> TrainConfig {
        self.profiles = Some(profiles);
        self
    }

    /// Trains up to this epoch.
    pub fn epochs(mut self, epochs: usize) -> TrainConfig {
        self.epochs = epochs;
        self
    }

    /// Starts to count epochs here.
    pub fn initial_epoch(mut self, epoch: usize) -> TrainConfig {
        self.initial_epoch = epoch;
        self
    }

    /// Takes this many rows a batch; the last may have fewer.
    pub fn batch_size(mut self, rows: usize) -> TrainConfig {
        self.batch_size = rows.max(1);
        self
    }

    /// Says whether rows are drawn in another order in each epoch.
    pub fn shuffle(mut self, shuffle: bool) -> TrainConfig {
        self.shuffle = shuffle;
        self
    }

    /// Seeds the order of rows and dropout.
    pub fn seed(mut self, seed: u64) -> TrainConfig {
        self.seed = seed;
        self
    }

    /// Evaluates these rows after each epoch.
    pub fn validation(mut self, data: Dataset) -> TrainConfig {
        self.validation = Some(data);
        self
    }

    /// Keeps this share of the rows, the last ones, for validation.
    pub fn validation_split(mut self, fraction: f64) -> TrainConfig {
        self.validation_split = Some(fraction);
        self
    }

    /// Takes this many rows a batch in validation, in place of the training's.
    pub fn validation_batch_size(mut self, rows: usize) -> TrainConfig {
        self.validation_batch_size = Some(rows.max(1));
        self
    }

    /// Weighs the rows of these classes; others count once.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (i64, f32)>) -> TrainConfig {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// Keeps in this folder, after each epoch, all that [`fit`](super::Trainer::fit) needs to go on
    /// to the bit where it was broken off. Without [`resume`](Self::resume) a run that was finished
    /// is replaced; a folder that holds one that was not is refused.
    pub fn checkpoint(mut self, folder: impl Into<PathBuf>) -> TrainConfig {
        self.checkpoint = Some(folder.into());
        self
    }

    /// Writes a checkpoint also after every so many batches.
    pub fn checkpoint_every(mut self, batches: usize) -> TrainConfig {
        self.checkpoint_every = Some(batches.max(1));
        self
    }

    /// Says whether to go on from the folder's checkpoint, if there is one. A run that was finished
    /// gives its history at once, unless it now has more epochs.
    pub fn resume(mut self, resume: bool) -> TrainConfig {
        self.resume = resume;
        self
    }
}
