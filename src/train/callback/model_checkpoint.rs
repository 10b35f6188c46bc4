//! Saving the model while it is trained.

use std::path::Path;

use serde_json::Value;

use super::monitor::Monitor;
use super::python::Template;
use super::{Callback, CallbackState, Context, Mode, TrainError};
use crate::formats::Format;
use crate::train::Logs;
use crate::train::object::Object;

const CLASS: &str = "ModelCheckpoint";

/// When a model is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFreq {
    /// After every epoch.
    #[default]
    Epoch,
    /// After so many batches.
    Batches(usize),
}

/// Saves the model after epochs: Keras's `ModelCheckpoint`, with its options and defaults.
///
/// The file's extension says the format, as for [`Model::save`](crate::Model::save). Fields in its
/// name are filled as Python's `str.format` fills them: `{epoch:02d}-{val_loss:.2f}.keras`; epochs
/// and batches count from 1 there. A file is written whole or not at all.
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    filepath: Template,
    monitor: Monitor,
    save_best_only: bool,
    save_freq: SaveFreq,
    best: Option<f64>,
    epoch: usize,
    batches_seen: usize,
}

impl ModelCheckpoint {
    /// Saves to this file after every epoch.
    ///
    /// # Errors
    /// If a field in the name has a form that is not supported, or its extension names no format.
    pub fn new(filepath: &str) -> Result<ModelCheckpoint, TrainError> {
        let name = Path::new(filepath);
        match Format::of(name) {
            _ if filepath.to_ascii_lowercase().ends_with(".weights.h5") => {
                let why = "weights alone cannot be written; a name in .h5 without .weights takes \
                           the whole model";
                return Err(bad_path(filepath, why.to_owned()));
            }
            Ok(Format::Description) => {
                let why = "a description holds no weights; use .keras, .h5 or .safetensors";
                return Err(bad_path(filepath, why.to_owned()));
            }
            Ok(_) => {}
            Err(error) => return Err(bad_path(filepath, error.to_string())),
        }
        let filepath = Template::parse(filepath).map_err(|why| bad_path(filepath, why))?;
        Ok(ModelCheckpoint {
            filepath,
            monitor: Monitor::new("val_loss"),
            save_best_only: false,
            save_freq: SaveFreq::Epoch,
            best: None,
            epoch: 0,
            batches_seen: 0,
        })
    }

    /// Monitors a number of the logs in place of `val_loss`.
    pub fn monitor(mut self, monitor: impl Into<String>) -> ModelCheckpoint {
        self.monitor.monitor = monitor.into();
        self
    }

    /// Whether to save only where what is monitored is better than ever before.
    pub fn save_best_only(mut self, best_only: bool) -> ModelCheckpoint {
        self.save_best_only = best_only;
        self
    }

    /// Whether less or more is better.
    pub fn mode(mut self, mode: Mode) -> ModelCheckpoint {
        self.monitor.mode = mode;
        self
    }

    /// When to save.
    pub fn save_freq(mut self, save_freq: SaveFreq) -> ModelCheckpoint {
        self.save_freq = save_freq;
        self
    }

    /// What the first saved model must be better than.
    pub fn initial_value_threshold(mut self, value: f64) -> ModelCheckpoint {
        self.best = Some(value);
        self
    }

    pub(super) fn read(object: &mut Object) -> Result<ModelCheckpoint, TrainError> {
        let filepath = object.text("filepath")?;
        let filepath = filepath
            .ok_or_else(|| object.bad("filepath", "not given", "name the file to be written"))?;
        let mut read = ModelCheckpoint::new(&filepath)?;
        if let Some(monitor) = object.text("monitor")? {
            read.monitor.monitor = monitor;
        }
        read.save_best_only = object.bool_or("save_best_only", false)?;
        if object.bool_or("save_weights_only", false)? {
            let expected = "leave it out: the whole model is saved, whose .h5 form Keras's \
                            load_weights reads too";
            return Err(object.bad("save_weights_only", "true", expected));
        }
        read.monitor.mode = Mode::read(object)?;
        read.save_freq = match object.take("save_freq") {
            None => SaveFreq::Epoch,
            Some(Value::String(text)) if text == "epoch" => SaveFreq::Epoch,
            Some(value) => match value.as_u64().filter(|&count| count > 0) {
                Some(count) => SaveFreq::Batches(count as usize),
                None => {
                    let expected = "it is \"epoch\" or a number of batches";
                    return Err(object.bad("save_freq", &value.to_string(), expected));
                }
            },
        };
        read.best = object.number("initial_value_threshold")?;
        Ok(read)
    }

    fn save(
        &mut self,
        batch: Option<usize>,
        logs: &Logs,
        context: &Context<'_>,
    ) -> Result<(), TrainError> {
        let path = self.filepath.fill(self.epoch + 1, batch.map(|batch| batch + 1), logs);
        let path = path.map_err(|why| bad_path(self.filepath.text(), why))?;
        if self.save_best_only {
            let current = self.monitor.value(CLASS, logs)?;
            if !self.monitor.improves(CLASS, current, self.best, context)? {
                return Ok(());
            }
            self.best = Some(current);
        }
        let folder = Path::new(&path).parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            let made = std::fs::create_dir_all(folder);
            made.map_err(|source| TrainError::File { path: folder.display().to_string(), source })?;
        }
        let saved = context.model()?.save(&path);
        saved.map(drop).map_err(|error| TrainError::Save(Box::new(error)))
    }
}

fn bad_path(path: &str, why: String) -> TrainError {
    TrainError::setting(format!("callback {CLASS}"), format!("filepath is \"{path}\""), why)
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &str {
        CLASS
    }

    fn check(&self, reported: Option<&[String]>, context: &Context<'_>) -> Result<(), TrainError> {
        // Within an epoch there is nothing of validation yet.
        let within = self.save_freq != SaveFreq::Epoch;
        let known = reported.map(|names| {
            let names = names.iter().filter(|name| !(within && name.starts_with("val_")));
            names.cloned().collect::<Vec<_>>()
        });
        if let Some(known) = &known {
            let fields = self.filepath.check(within, known);
            fields.map_err(|why| bad_path(self.filepath.text(), why))?;
        }
        if self.save_best_only {
            self.monitor.check(CLASS, known.as_deref(), context)?;
        }
        Ok(())
    }

    fn added_logs(&self) -> Option<&[&'static str]> {
        Some(&[])
    }

    fn on_train_resume(
        &mut self,
        state: &CallbackState,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.best = state.number(CLASS, "best")?;
        self.epoch = state.count(CLASS, "epoch")?;
        self.batches_seen = state.count(CLASS, "batches_seen")?;
        Ok(())
    }

    fn on_epoch_begin(
        &mut self,
        epoch: usize,
        _context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.epoch = epoch;
        Ok(())
    }

    fn on_batch_end(
        &mut self,
        batch: usize,
        logs: &Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        let SaveFreq::Batches(every) = self.save_freq else { return Ok(()) };
        self.batches_seen += 1;
        if self.batches_seen >= every {
            self.batches_seen = 0;
            self.save(Some(batch), logs, context)?;
        }
        Ok(())
    }

    fn on_epoch_end(
        &mut self,
        epoch: usize,
        logs: &mut Logs,
        context: &mut Context<'_>,
    ) -> Result<(), TrainError> {
        self.epoch = epoch;
        match self.save_freq {
            SaveFreq::Epoch => self.save(None, logs, context),
            SaveFreq::Batches(_) => Ok(()),
        }
    }

    fn state(&self) -> Option<CallbackState> {
        let state = CallbackState::new().with_number("best", self.best);
        let state = state.with_count("epoch", self.epoch);
        Some(state.with_count("batches_seen", self.batches_seen))
    }
}
