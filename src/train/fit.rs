//! One call of [`Trainer::fit`](super::Trainer::fit): epochs, batches, callbacks, checkpoints.

use super::batch::Bound;
use super::callback::{Callback, CallbackState, Context};
use super::checkpoint::{Folder, Parts, Place, Snapshot};
use super::history::{History, Logs};
use super::meter::Meters;
use super::run::Run;
use super::state::Progress;
use super::{TrainError, order};
use crate::graph::Graph;

/// What a run leaves.
pub(super) struct Trained {
    pub history: History,
    /// The Graph with the values at the end.
    pub graph: Graph,
    pub progress: Progress,
    /// Bytes of the buffers of a step.
    pub memory: usize,
}

/// One call of [`Trainer::fit`](super::Trainer::fit).
pub(super) struct Fit<'a> {
    run: Run<'a>,
    data: &'a Bound,
    validation: Option<&'a Bound>,
    callbacks: &'a mut [Box<dyn Callback>],
    history: History,
    /// Where checkpoints go.
    pub checkpoints: Option<Folder>,
    place: Place,
    /// The sums of the epoch that a checkpoint lies within.
    meters: Vec<Vec<f64>>,
    /// What callbacks go on from.
    states: Option<Vec<CallbackState>>,
}

impl<'a> Fit<'a> {
    /// Training from the first epoch on.
    pub fn new(
        run: Run<'a>,
        data: &'a Bound,
        validation: Option<&'a Bound>,
        callbacks: &'a mut [Box<dyn Callback>],
    ) -> Fit<'a> {
        let place = Place { epoch: run.setup.config.initial_epoch, ..Place::default() };
        let (history, meters) = (History::new(), Vec::new());
        let (checkpoints, states) = (None, None);
        Fit { run, data, validation, callbacks, history, checkpoints, place, meters, states }
    }

    /// Goes on at `start`, whose Variables and progress the run has already; says what does not fit.
    pub fn resume(&mut self, start: Snapshot) -> Result<(), String> {
        self.states = Some(start.states_for(self.callbacks)?);
        self.place = Place { finished: false, ..start.place };
        self.run.stopped = start.place.stopped;
        (self.history, self.meters) = (start.history, start.meters);
        Ok(())
    }

    /// Trains to the end.
    ///
    /// # Errors
    /// As [`Trainer::fit`](super::Trainer::fit).
    pub fn run(mut self) -> Result<Trained, TrainError> {
        self.begin()?;
        while self.place.epoch < self.run.setup.config.epochs && !self.run.stopped {
            let epoch = self.place.epoch;
            let mut logs = self.epoch(epoch)?;
            self.validate(&mut logs)?;
            self.each(|callback, context| callback.on_epoch_end(epoch, &mut logs, context))?;
            self.history.push(&logs);
            (self.place.epoch, self.place.batch) = (epoch + 1, 0);
            self.save(&[])?;
        }
        if self.run.setup.compile.optimizer.average.is_some() {
            self.run.use_averages();
        }
        self.each(|callback, context| callback.on_train_end(context))?;
        self.place.finished = true;
        self.save(&[])?;
        Ok(Trained {
            graph: self.run.graph()?,
            progress: self.run.progress,
            memory: self.run.step_memory(),
            history: self.history,
        })
    }

    fn begin(&mut self) -> Result<(), TrainError> {
        let Some(states) = self.states.take() else {
            return self.each(|callback, context| callback.on_train_begin(context));
        };
        let mut states = states.iter();
        self.each(|callback, context| match states.next() {
            Some(state) => callback.on_train_resume(state, context),
            None => callback.on_train_begin(context),
        })
    }

    /// Trains on every row once, or on those that are left of the epoch.
    fn epoch(&mut self, epoch: usize) -> Result<Logs, TrainError> {
        let setup = self.run.setup;
        let config = setup.config;
        let mut meters = Meters::new(setup.model.graph(), setup.outputs, self.data, true)?;
        let done = self.place.batch;
        if done == 0 {
            self.each(|callback, context| callback.on_epoch_begin(epoch, context))?;
        } else if !meters.restore(&std::mem::take(&mut self.meters)) {
            let path =
                self.checkpoints.as_ref().map(|folder| folder.newest().display().to_string());
            let reason = "its sums of metrics are of other metrics".to_owned();
            return Err(TrainError::Checkpoint { path: path.unwrap_or_default(), reason });
        }
        let order = match config.shuffle {
            true => order::shuffled(self.data.rows, config.seed, epoch as u64),
            false => (0..self.data.rows).collect(),
        };
        let batches = order.len().div_ceil(config.batch_size);
        for (index, rows) in order.chunks(config.batch_size).enumerate().skip(done) {
            self.each(|callback, context| callback.on_batch_begin(index, context))?;
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
            self.place.batch = index + 1;
            let due = |every| self.run.progress.batches.is_multiple_of(every as u64);
            if index + 1 < batches && config.checkpoint_every.is_some_and(due) {
                self.save(&meters.state())?;
            }
        }
        Ok(meters.logs())
    }

    /// Adds loss and metrics of the validation data to the logs.
    fn validate(&self, logs: &mut Logs) -> Result<(), TrainError> {
        let Some(data) = self.validation else { return Ok(()) };
        let config = self.run.setup.config;
        let size = config.validation_batch_size.unwrap_or(config.batch_size);
        let graph = self.run.graph()?;
        for (name, value) in self.run.setup.evaluate(&graph, data, size)?.iter() {
            logs.set(format!("val_{name}"), value);
        }
        Ok(())
    }

    /// Writes a checkpoint, if they are asked for.
    fn save(&mut self, meters: &[Vec<f64>]) -> Result<(), TrainError> {
        let Some(folder) = &mut self.checkpoints else { return Ok(()) };
        self.place.stopped = self.run.stopped;
        let states = self.callbacks.iter().filter_map(|callback| {
            callback.state().map(|state| (callback.name().to_owned(), state))
        });
        folder.save(&Parts {
            place: self.place,
            progress: &self.run.progress,
            history: &self.history,
            meters,
            callbacks: &states.collect::<Vec<_>>(),
            variables: self.run.variables(),
        })
    }

    fn each(
        &mut self,
        mut call: impl FnMut(&mut dyn Callback, &mut Context<'_>) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let mut context = Context { control: &mut self.run };
        self.callbacks.iter_mut().try_for_each(|callback| call(&mut **callback, &mut context))
    }
}
