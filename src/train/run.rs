//! A run of training: the Sessions of its steps, and the values between them.

use std::sync::{Arc, PoisonError};

use super::batch::Bound;
use super::callback::Control;
use super::compile::{CompileConfig, OutputConfig};
use super::history::Logs;
use super::meter::Meters;
use super::metric::{self, Direction};
use super::optimizer::LearningRate;
use super::slots::Slots;
use super::state::{self, Progress};
use super::step::{ITERATION, LEARNING_RATE, Mode, Recipe, U_PRODUCT};
use super::{TrainConfig, TrainError};
use crate::graph::{Bindings, Dim, Graph, Tensor, VariableId};
use crate::model::Model;
use crate::passes::TRAINING_STEP;
use crate::plan::PackCache;
use crate::runtime::{RunError, Session, Tensors};

/// What steps are made from, and what stays the same in a run.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub model: &'a Model,
    pub config: &'a TrainConfig,
    pub compile: &'a CompileConfig,
    pub outputs: &'a [OutputConfig],
    pub slots: &'a Slots,
}

impl<'a> Setup<'a> {
    /// A Session that does steps of `mode` on `data`, from the values in `graph`.
    ///
    /// # Errors
    /// If data and model do not fit.
    fn session(&self, graph: &Graph, data: &Bound, mode: Mode) -> Result<Session, TrainError> {
        let graph = self.graph(graph, data, mode)?;
        let options = self.config.options.clone();
        Ok(Session::prepared(graph, Arc::new(PackCache::new()), &options)?)
    }

    /// The Graph of steps of `mode` on `data`, from the values in `graph`.
    ///
    /// # Errors
    /// If data and model do not fit.
    pub fn graph(&self, graph: &Graph, data: &Bound, mode: Mode) -> Result<Graph, TrainError> {
        let recipe = Recipe {
            graph,
            outputs: self.outputs,
            targets: &data.targets,
            weights: &data.weights,
            optimizer: &self.compile.optimizer,
            slots: self.slots,
        };
        recipe.build(mode)
    }

    /// Loss and metrics of `data` for the values in `graph`.
    ///
    /// # Errors
    /// If data and model do not fit.
    pub fn evaluate(
        &self,
        graph: &Graph,
        data: &Bound,
        batch_size: usize,
    ) -> Result<Logs, TrainError> {
        let mut session = self.session(graph, data, Mode::Evaluate)?;
        let mut meters = Meters::new(graph, self.outputs, data, false)?;
        let (mut batch, mut results) = (Tensors::new(), Tensors::new());
        let order: Vec<usize> = (0..data.rows).collect();
        for rows in order.chunks(batch_size.max(1)) {
            data.gather(rows, &mut batch);
            session.run_into(&batch, &mut results)?;
            meters.update(rows.len(), &batch, &results)?;
        }
        Ok(meters.logs())
    }
}

/// The Sessions of a run, and how far it has come.
pub(super) struct Run<'a> {
    pub setup: Setup<'a>,
    graph: Graph,
    update: Session,
    accumulate: Option<Session>,
    /// Whether the values of now are those of `accumulate`.
    accumulating: bool,
    pub progress: Progress,
    pub stopped: bool,
    /// What the last step was fed; the steps that accumulate have one of their own.
    batches: [Tensors; 2],
    pub results: Tensors,
}

impl<'a> Run<'a> {
    /// Makes the steps ready for `data`.
    ///
    /// # Errors
    /// If data and model do not fit, or a layer cannot be trained.
    pub fn new(
        setup: Setup<'a>,
        graph: &Graph,
        progress: Progress,
        data: &Bound,
    ) -> Result<Run<'a>, TrainError> {
        let update = setup.session(graph, data, Mode::Update)?;
        let accumulate = match setup.compile.optimizer.accumulation {
            Some(_) => Some(setup.session(graph, data, Mode::Accumulate)?),
            None => None,
        };
        Ok(Run {
            setup,
            graph: graph.clone(),
            update,
            accumulate,
            accumulating: false,
            progress,
            stopped: false,
            batches: [Tensors::new(), Tensors::new()],
            results: Tensors::new(),
        })
    }

    /// Trains on the rows `rows` of `data`; outputs are in `results`.
    ///
    /// # Errors
    /// If an operator refuses the data.
    pub fn step(&mut self, data: &Bound, rows: &[usize]) -> Result<(), TrainError> {
        let optimizer = &self.setup.compile.optimizer;
        let every = optimizer.accumulation.unwrap_or(1) as u64;
        let (batches, iterations) = (self.progress.batches, self.progress.batches / every);
        if let LearningRate::Schedule(schedule) = &optimizer.learning_rate {
            self.progress.learning_rate = schedule.learning_rate(batches);
        }
        let updates = (batches + 1).is_multiple_of(every);
        self.progress.before_step(optimizer, iterations, updates);
        self.hand_over(!updates);
        let session = match &mut self.accumulate {
            Some(accumulate) if !updates => accumulate,
            _ => &mut self.update,
        };
        let batch = &mut self.batches[usize::from(self.accumulating)];
        data.gather(rows, batch);
        let inputs = session.graph().inputs().iter().map(|input| input.name.clone());
        for name in inputs.collect::<Vec<_>>() {
            let value: Option<Tensor> = match name.as_str() {
                LEARNING_RATE => Some(Tensor::scalar(self.progress.learning_rate)),
                ITERATION => Some(Tensor::scalar(iterations as i64)),
                U_PRODUCT => Some(Tensor::scalar(self.progress.u_product)),
                TRAINING_STEP => {
                    Tensor::new([2], vec![self.setup.config.seed as i64, batches as i64]).ok()
                }
                _ => None,
            };
            if let Some(value) = value {
                batch.insert(name, value);
            }
        }
        match &self.setup.config.profiles {
            Some(profiles) => {
                let done = session.run_profiled(batch);
                let (results, profile) =
                    done.map_err(|error| at_row(session.graph(), batch, rows, error))?;
                self.results = results;
                profiles.lock().unwrap_or_else(PoisonError::into_inner).push(profile);
            }
            None => {
                let done = session.run_into(batch, &mut self.results);
                done.map_err(|error| at_row(session.graph(), batch, rows, error))?;
            }
        }
        self.progress.batches += 1;
        self.overwrite_with_averages(iterations + 1);
        Ok(())
    }

    /// Moves the values of now to the Session that is about to run.
    fn hand_over(&mut self, accumulating: bool) {
        if let Some(accumulate) = &mut self.accumulate
            && accumulating != self.accumulating
        {
            accumulate.swap_variables(&mut self.update);
            self.accumulating = accumulating;
        }
    }

    /// What a Variable holds now.
    fn value(&self, id: VariableId) -> &Tensor {
        match &self.accumulate {
            Some(accumulate) if self.accumulating => accumulate.variable(id),
            _ => self.update.variable(id),
        }
    }

    /// Puts the moving averages in the weights' place where it is time.
    fn overwrite_with_averages(&mut self, steps: u64) {
        let average = self.setup.compile.optimizer.average;
        let frequency = average.and_then(|average| average.overwrite_frequency);
        if frequency.is_some_and(|frequency| steps.is_multiple_of(frequency)) {
            self.use_averages();
        }
    }

    /// Gives the weights the values of their moving averages.
    pub fn use_averages(&mut self) {
        let slots = self.setup.slots;
        for (parameter, average) in slots.parameters().iter().zip(slots.averages()) {
            let value = self.value(*average).clone();
            self.set_variable(*parameter, &value);
        }
    }

    /// Every Variable by name with what it holds now.
    pub fn variables(&self) -> Vec<(&str, &Tensor)> {
        let named = self.graph.variables().iter().enumerate();
        named.map(|(index, known)| (&*known.name, self.value(VariableId(index)))).collect()
    }

    /// How many bytes of buffers the steps hold.
    pub fn step_memory(&self) -> usize {
        let accumulate = self.accumulate.as_ref().map_or(0, Session::buffer_bytes);
        self.update.buffer_bytes() + accumulate
    }

    /// What the last step was fed.
    pub fn batch(&self) -> &Tensors {
        &self.batches[usize::from(self.accumulating)]
    }

    fn set_variable(&mut self, id: VariableId, value: &Tensor) {
        match &mut self.accumulate {
            Some(accumulate) if self.accumulating => accumulate.set_variable(id, value),
            _ => self.update.set_variable(id, value),
        }
    }

    /// The Graph with the values of now.
    ///
    /// # Errors
    /// If a value changed its type, which would be a fault of ours.
    pub fn graph(&self) -> Result<Graph, TrainError> {
        let mut graph = self.graph.clone();
        for index in 0..graph.variables().len() {
            let id = VariableId(index);
            let now = self.value(id);
            if !std::ptr::eq(now, &*graph.variable(id).value) {
                graph.set_variable(id, Arc::new(now.clone()))?;
            }
        }
        Ok(graph)
    }
}

/// An error of a step, with the row of the data where one can be told: an id that a layer made is
/// refused by its place in the batch.
fn at_row(graph: &Graph, batch: &Tensors, rows: &[usize], error: RunError) -> TrainError {
    let row = match &error {
        RunError::TokenId { node, position, .. } => row_of_id(graph, batch, node, *position),
        _ => None,
    };
    match row.and_then(|row| rows.get(row)) {
        Some(&row) => {
            let (what, source) = ("the training data".to_owned(), Box::new(error));
            TrainError::Row { what, row, source }
        }
        None => error.into(),
    }
}

/// The row of a batch to which an id of an Embedding belongs, if the ids are in rows.
fn row_of_id(graph: &Graph, batch: &Tensors, node: &str, position: usize) -> Option<usize> {
    let node = graph.nodes().iter().find(|known| known.name == node)?;
    let mut bindings = Bindings::new();
    for input in graph.inputs() {
        let sizes = batch.get(&input.name)?.shape();
        for (dim, &size) in graph.ty(input.value).dims.iter().zip(sizes) {
            if let Dim::Symbol(symbol) = dim {
                bindings.bind(symbol, size);
            }
        }
    }
    let ids = graph.ty(node.inputs.first().copied().flatten()?);
    let width = ids.dims.iter().skip(1).map(|dim| dim.eval(&bindings).ok());
    let width: usize = width.product::<Option<usize>>()?;
    position.checked_div(width)
}

impl Control for Run<'_> {
    fn stop(&mut self) {
        self.stopped = true;
    }

    fn learning_rate(&self) -> f32 {
        match &self.setup.compile.optimizer.learning_rate {
            LearningRate::Schedule(schedule) => schedule.learning_rate(self.progress.batches),
            LearningRate::Constant(_) => self.progress.learning_rate,
        }
    }

    fn has_schedule(&self) -> bool {
        matches!(self.setup.compile.optimizer.learning_rate, LearningRate::Schedule(_))
    }

    fn set_learning_rate(&mut self, rate: f32) -> Result<(), TrainError> {
        if self.has_schedule() {
            return Err(TrainError::setting(
                "learning_rate",
                "a schedule decides it, and a callback changes it",
                "use one of the two",
            ));
        }
        self.progress.learning_rate = rate;
        Ok(())
    }

    fn weights(&self) -> Vec<Tensor> {
        let ids = state::weights(&self.graph);
        ids.map(|id| self.value(id).clone()).collect()
    }

    fn set_weights(&mut self, weights: &[Tensor]) {
        let ids: Vec<VariableId> = state::weights(&self.graph).collect();
        for (id, value) in ids.into_iter().zip(weights) {
            self.set_variable(id, value);
        }
    }

    fn model(&self) -> Result<Model, TrainError> {
        let Setup { model, compile, slots, .. } = self.setup;
        state::model(model, &self.graph()?, compile, slots, &self.progress)
    }

    fn direction(&self, metric: &str) -> Option<Direction> {
        let plain = self.setup.outputs.iter().flat_map(|output| &output.metrics);
        let weighted = self.setup.outputs.iter().flat_map(|output| &output.weighted_metrics);
        let mut known = plain.chain(weighted).filter_map(metric::direction);
        known.rfind(|(name, _)| name == metric).map(|(_, direction)| direction)
    }
}
