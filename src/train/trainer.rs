//! Trains and evaluates a model: Keras's `fit` and `evaluate`.

use super::batch::Bound;
use super::callback::{Callback, Context};
use super::compile::{CompileConfig, OutputConfig};
use super::config::TrainConfig;
use super::data::Dataset;
use super::history::{History, Logs};
use super::meter::Meters;
use super::run::{Run, Setup};
use super::slots::Slots;
use super::state::{self, Progress};
use super::{TrainError, constraint, order};
use crate::graph::Graph;
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
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("model", &self.graph.name())
            .field("progress", &self.progress)
            .finish_non_exhaustive()
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
        let compiled = model.document().and_then(|document| document.compile_config.clone());
        let settings = state::merge(compiled.unwrap_or_default(), &config.compile);
        let compile = CompileConfig::from_json(&settings)?;
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
            let saved = &document.optimizer;
            state::take_up(saved, &compile.optimizer, &slots, &mut graph, &mut progress)?;
            if config.compile.contains_key("learning_rate") {
                progress.learning_rate = rate;
            }
        }
        let (model, config) = (model.clone(), config.clone());
        let callbacks = Vec::new();
        Ok(Trainer { model, config, compile, outputs, graph, slots, progress, callbacks })
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
    /// If data and model disagree, the loss becomes NaN or infinite, or a callback fails. The
    /// weights are then those before the call.
    pub fn fit(&mut self, data: &Dataset) -> Result<History, TrainError> {
        let (data, validation) = match (&self.config.validation, self.config.validation_split) {
            (Some(given), _) => (data.clone(), Some(given.clone())),
            (None, Some(fraction)) => {
                let (kept, rest) = data.split(fraction)?;
                (kept, Some(rest))
            }
            (None, None) => (data.clone(), None),
        };
        let bind = |data: &Dataset, class_weight: &[(i64, f32)]| {
            Bound::new(&self.graph, &self.outputs, data, class_weight)
        };
        let data = bind(&data, &self.config.class_weight)?;
        let validation = validation.map(|data| bind(&data, &[])).transpose()?;
        let mut callbacks = std::mem::take(&mut self.callbacks);
        let run = Run::new(self.setup(), &self.graph, self.progress, &data);
        let result = run.and_then(|run| {
            let history = History::new();
            let callbacks = &mut callbacks[..];
            Fit { run, data: &data, validation: validation.as_ref(), callbacks, history }.run()
        });
        self.callbacks = callbacks;
        let (history, graph, progress) = result?;
        (self.graph, self.progress) = (graph, progress);
        Ok(history)
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

    fn setup(&self) -> Setup<'_> {
        let Trainer { model, config, compile, outputs, slots, .. } = self;
        Setup { model, config, compile, outputs, slots }
    }
}

/// One call of [`Trainer::fit`].
struct Fit<'a> {
    run: Run<'a>,
    data: &'a Bound,
    validation: Option<&'a Bound>,
    callbacks: &'a mut [Box<dyn Callback>],
    history: History,
}

impl Fit<'_> {
    fn run(mut self) -> Result<(History, Graph, Progress), TrainError> {
        self.each(|callback, context| callback.on_train_begin(context))?;
        let config = self.run.setup.config;
        for epoch in config.initial_epoch..config.epochs {
            if self.run.stopped {
                break;
            }
            let mut logs = self.epoch(epoch)?;
            if let Some(data) = self.validation {
                let size = config.validation_batch_size.unwrap_or(config.batch_size);
                let graph = self.run.graph()?;
                for (name, value) in self.run.setup.evaluate(&graph, data, size)?.iter() {
                    logs.set(format!("val_{name}"), value);
                }
            }
            self.history.push(&logs);
            self.each(|callback, context| callback.on_epoch_end(epoch, &logs, context))?;
        }
        if self.run.setup.compile.optimizer.average.is_some() {
            self.run.use_averages();
        }
        self.each(|callback, context| callback.on_train_end(context))?;
        Ok((self.history, self.run.graph()?, self.run.progress))
    }

    /// Trains on every row once.
    fn epoch(&mut self, epoch: usize) -> Result<Logs, TrainError> {
        let setup = self.run.setup;
        let mut meters = Meters::new(setup.model.graph(), setup.outputs, self.data, true)?;
        let config = setup.config;
        let order = match config.shuffle {
            true => order::shuffled(self.data.rows, config.seed, epoch as u64),
            false => (0..self.data.rows).collect(),
        };
        for (index, rows) in order.chunks(config.batch_size).enumerate() {
            self.run.step(self.data, rows)?;
            let loss = Meters::loss(&self.run.results);
            if !loss.is_finite() && !self.callbacks.iter().any(|c| c.handles_divergence()) {
                return Err(TrainError::Diverged { loss, epoch: epoch + 1, batch: index + 1 });
            }
            meters.update(rows.len(), self.run.batch(), &self.run.results)?;
            if !self.callbacks.is_empty() {
                let logs = meters.logs();
                self.each(|callback, context| callback.on_batch_end(index, &logs, context))?;
            }
            if self.run.stopped {
                break;
            }
        }
        Ok(meters.logs())
    }

    fn each(
        &mut self,
        mut call: impl FnMut(&mut dyn Callback, &mut Context<'_>) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let mut context = Context { control: &mut self.run };
        self.callbacks.iter_mut().try_for_each(|callback| call(&mut **callback, &mut context))
    }
}
