//! Trains and evaluates a model: Keras's `fit` and `evaluate`.

use super::batch::Bound;
use super::callback::Callback;
use super::checkpoint::{Folder, Place, Snapshot, fingerprint};
use super::compile::{CompileConfig, OutputConfig};
use super::config::TrainConfig;
use super::data::Dataset;
use super::fit::{Fit, Trained};
use super::history::{History, Logs};
use super::run::{Run, Setup};
use super::slots::Slots;
use super::state::{self, Progress, Saved};
use super::step::Mode;
use super::{TrainError, constraint};
use crate::graph::{Graph, Variable, VariableKind};
use crate::model::Model;

/// A model in training: its weights, its optimizer, and how far it has come.
pub struct Trainer {
    model: Model,
    config: TrainConfig,
    compile: CompileConfig,
    outputs: Vec<OutputConfig>,
    /// The model's Graph with the optimizer's slots; holds all values between runs.
    graph: Graph,
    slots: Slots,
    progress: Progress,
    callbacks: Vec<Box<dyn Callback>>,
    notes: Vec<String>,
    step_memory: usize,
}

/// Where training goes on, and the path of that checkpoint for messages.
type Start = (Snapshot, String);

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("model", &self.graph.name())
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Makes the model ready to be trained.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn trainer(&self, config: &TrainConfig) -> Result<Trainer, TrainError> {
        Trainer::new(self, config)
    }
}

impl Trainer {
    /// Makes `model` ready to be trained: with what it was compiled with and what `config` sets over
    /// it. Unless that sets another, the optimizer goes on from the state in the model's file.
    ///
    /// # Errors
    /// If a setting is missing, not known or not honoured, or does not fit the model, or if a layer
    /// would not be trained as its own software trains it.
    pub fn new(model: &Model, config: &TrainConfig) -> Result<Trainer, TrainError> {
        if let Some(found) = model.graph().untrainable().first() {
            let (layer, reason) = (found.layer.clone(), found.reason.clone());
            return Err(TrainError::Layer { layer, reason });
        }
        let compile = config.compiled(model)?;
        let mut graph = model.graph().clone();
        let names = graph.outputs().iter().map(|output| output.name.clone());
        let outputs = compile.for_outputs(&names.collect::<Vec<_>>())?;
        let slots = Slots::add(&mut graph, &compile.optimizer, state::parameters(model))?;
        constraint::check(&graph, &slots, &compile.optimizer)?;
        let mut progress = Progress::new(&compile.optimizer);
        if let Some(document) = model.document()
            && !config.compile.contains_key("optimizer")
        {
            let rate = progress.learning_rate;
            let saved = Saved::of(document);
            state::take_up(saved, &compile.optimizer, &slots, &mut graph, &mut progress)?;
            if config.compile.contains_key("learning_rate") {
                progress.learning_rate = rate;
            }
        }
        Ok(Trainer {
            model: model.clone(),
            config: config.clone(),
            compile,
            outputs,
            graph,
            slots,
            progress,
            callbacks: Vec::new(),
            notes: Vec::new(),
            step_memory: 0,
        })
    }

    /// Adds a callback, which is called after those added before.
    pub fn callback(mut self, callback: impl Callback + 'static) -> Trainer {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// The settings in force.
    pub fn compile(&self) -> &CompileConfig {
        &self.compile
    }

    /// How many batches were trained on, those of the model's file among them.
    pub fn iterations(&self) -> u64 {
        self.progress.batches
    }

    /// Trains on `data` and gives loss and metrics of each epoch.
    ///
    /// # Errors
    /// If data and model disagree, the loss becomes NaN or infinite, a callback fails, or a
    /// checkpoint cannot be written or read. The weights are then those before the call.
    pub fn fit(&mut self, data: &Dataset) -> Result<History, TrainError> {
        let (data, validation) = match (&self.config.validation, self.config.validation_split) {
            (Some(given), _) => (data.clone(), Some(given.clone())),
            (None, Some(fraction)) => {
                let (kept, rest) = data.split(fraction)?;
                (kept, Some(rest))
            }
            (None, None) => (data.clone(), None),
        };
        let keeps = |variable: &Variable| variable.kind == VariableKind::State;
        if validation.is_some() && self.graph.variables().iter().any(keeps) {
            let found = "given for a model that keeps states from batch to batch";
            let expected = "leave it out; Keras would carry the states of training into it and on";
            return Err(TrainError::setting("validation data", found, expected));
        }
        let (folder, start) = self.checkpoint(&data, validation.as_ref())?;
        let (mut graph, mut progress) = (self.graph.clone(), self.progress);
        if let Some((start, path)) = &start {
            start.restore(&mut graph).map_err(|why| not_of_run(path, why))?;
            progress = start.progress;
            if self.is_over(start) {
                (self.graph, self.progress) = (graph, progress);
                return Ok(start.history.clone());
            }
        }
        let bind = |data: &Dataset, class_weight: &[(i64, f32)]| {
            Bound::new(&self.graph, &self.outputs, data, class_weight)
        };
        let data = bind(&data, &self.config.class_weight)?;
        let validation = validation.map(|data| bind(&data, &[])).transpose()?;
        let mut callbacks = std::mem::take(&mut self.callbacks);
        let run = Run::new(self.setup(), &graph, progress, &data);
        let result = run.and_then(|run| {
            let mut fit = Fit::new(run, &data, validation.as_ref(), &mut callbacks);
            fit.checkpoints = folder;
            if let Some((start, path)) = start {
                fit.resume(start).map_err(|why| not_of_run(&path, why))?;
            }
            fit.run()
        });
        self.callbacks = callbacks;
        let Trained { history, graph, progress, memory } = result?;
        (self.graph, self.progress, self.step_memory) = (graph, progress, memory);
        Ok(history)
    }

    /// The folder of checkpoints, if there is to be one, and where to go on, with its path.
    fn checkpoint(
        &mut self,
        data: &Dataset,
        validation: Option<&Dataset>,
    ) -> Result<(Option<Folder>, Option<Start>), TrainError> {
        let Trainer { model, graph, compile, config, .. } = self;
        let Some(path) = &config.checkpoint else {
            let missing = |what: &str| {
                let expected = "name the folder of checkpoints (--checkpoint)";
                TrainError::setting(what, "there is no folder of checkpoints", expected)
            };
            return match (config.resume, config.checkpoint_every) {
                (true, _) => Err(missing("resume")),
                (false, Some(_)) => Err(missing("checkpoint_every")),
                (false, None) => Ok((None, None)),
            };
        };
        let described = fingerprint(model, graph, compile, config, data, validation);
        let mut folder = Folder::open(path, described)?;
        if !config.resume {
            folder.refuse_unfinished()?;
        }
        let mut start = if config.resume { folder.load()? } else { None };
        self.notes.append(&mut folder.notes);
        // A run that gets more epochs goes on from before what was done at its end.
        if let Some(end) = &start
            && end.place.finished
            && !self.is_over(end)
            && let Some(before) = folder.load_previous()
            && (before.place.epoch, before.place.batch) == (end.place.epoch, end.place.batch)
        {
            start = Some(before);
        }
        let path = folder.newest().display().to_string();
        Ok((Some(folder), start.map(|start| (start, path))))
    }

    /// Whether nothing is left to do after `end`.
    fn is_over(&self, end: &Snapshot) -> bool {
        let Place { epoch, stopped, finished, .. } = end.place;
        finished && (stopped || self.config.epochs <= epoch)
    }

    /// What is to be known of the last [`fit`](Self::fit) beside its result: that a damaged
    /// checkpoint was passed over.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many bytes the buffers of a step held at the end of the last [`fit`](Self::fit): what lies
    /// between forward and backward pass, gradients and scratch, but not the weights and the
    /// optimizer's slots. `docs/training.md` says what it is made of.
    pub fn step_memory(&self) -> usize {
        self.step_memory
    }

    /// Loss and metrics of `data` for the weights as they are.
    ///
    /// # Errors
    /// If data and model disagree.
    pub fn evaluate(&self, data: &Dataset) -> Result<Logs, TrainError> {
        let data = Bound::new(&self.graph, &self.outputs, data, &[])?;
        self.setup().evaluate(&self.graph, &data, self.config.batch_size)
    }

    /// The model with the weights as they are, and the optimizer's state and settings, so that it
    /// can be run, saved and trained on.
    ///
    /// # Errors
    /// If it cannot be put together, which would be a fault of ours.
    pub fn model(&self) -> Result<Model, TrainError> {
        state::model(&self.model, &self.graph, &self.compile, &self.slots, &self.progress)
    }

    /// The Graph of a whole step on `data`.
    ///
    /// # Errors
    /// If data and model disagree, or a layer cannot be trained.
    pub(crate) fn step_graph(&self, data: &Dataset) -> Result<Graph, TrainError> {
        let data = Bound::new(&self.graph, &self.outputs, data, &[])?;
        self.setup().graph(&self.graph, &data, Mode::Update)
    }

    fn setup(&self) -> Setup<'_> {
        let Trainer { model, config, compile, outputs, slots, .. } = self;
        Setup { model, config, compile, outputs, slots }
    }
}

fn not_of_run(path: &str, reason: String) -> TrainError {
    TrainError::Checkpoint { path: path.to_owned(), reason }
}
