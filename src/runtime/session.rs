//! A Session: a model made ready to run with given options, and its state.

use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "gpu")]
use super::Device;
#[cfg(feature = "gpu")]
use super::auto::Auto;
use super::carry::Carry;
use super::cpu::Inputs;
use super::feed::{self, Feed};
use super::host::{self, HostCall, HostOp, Nested};
use super::origin::{Origin, bind_outcome, carries};
use super::profile::{Profile, ProfileEntry, microseconds};
use super::select::select_outputs;
use super::stage::{Backend, Given, StageCall, StageRunner};
use super::{Options, Placement, RunError, Tensors, bind, fold};
use crate::graph::{Bindings, DType, Graph, Output, Source, Tensor, VariableId, VariableKind};
use crate::passes;
use crate::plan::{PackCache, Program};

/// A model made ready to run, with its state: recurrent states, plans, buffers, threads.
///
/// Sessions of one model share its weights, packed ones too, and may run on different threads.
pub struct Session {
    pub(super) program: Program,
    pub(super) backend: Backend,
    pub(super) stages: Vec<StageState>,
    carried: Vec<Tensor>,
    states: Vec<Option<Tensor>>,
    feed: Feed,
    carry: Carry,
    bindings: Bindings,
    key: Vec<usize>,
    outputs: Vec<Origin>,
    updates: Vec<(usize, Origin)>,
    /// How the device is taken anew for other sizes.
    #[cfg(feature = "gpu")]
    pub(super) auto: Option<Box<Auto>>,
}

/// What a Session keeps for a stage.
pub(super) enum StageState {
    /// One on the device.
    Device {
        runner: Box<dyn StageRunner>,
        /// Outputs that later stages take, and their positions among the carried values.
        carries: Vec<(usize, usize)>,
    },
    /// One on the host: what runs each of its nodes.
    Host(Vec<Box<dyn HostOp>>),
}

impl StageState {
    fn plan_count(&self) -> usize {
        match self {
            StageState::Device { runner, .. } => runner.plan_count(),
            StageState::Host(_) => 0,
        }
    }

    /// The nodes of Graphs inside of each host node.
    pub(super) fn placements(&self) -> Vec<Vec<Placement>> {
        match self {
            StageState::Device { .. } => Vec::new(),
            StageState::Host(nodes) => nodes.iter().map(|node| node.placements()).collect(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            StageState::Device { runner, .. } => runner.memory(),
            StageState::Host(_) => 0,
        }
    }

    fn was_moved(&self) -> bool {
        matches!(self, StageState::Device { runner, .. } if runner.was_moved())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("model", &self.program.graph().name())
            .field("device", &self.backend)
            .finish_non_exhaustive()
    }
}

/// The tensors of a run by name.
struct Fed<'a>(&'a Feed, &'a Tensors);

impl Inputs for Fed<'_> {
    fn input(&self, index: usize) -> Option<&Tensor> {
        self.0.get(self.1, index)
    }
}

/// The tensors of a run in the order of the Graph's inputs.
struct InOrder<'a>(&'a [&'a Tensor]);

impl Inputs for InOrder<'_> {
    fn input(&self, index: usize) -> Option<&Tensor> {
        self.0.get(index).copied()
    }
}

impl Session {
    /// A Session that runs `graph`; packed weights are shared through `packs`.
    ///
    /// # Errors
    /// If an output is not known, or the device is not there or lacks an operator.
    pub(crate) fn new(
        graph: &Graph,
        packs: Arc<PackCache>,
        options: &Options,
    ) -> Result<Session, RunError> {
        let graph = match options.outputs.is_empty() {
            true => passes::prepare(graph)?,
            false => passes::prepare(&select_outputs(graph, &options.outputs)?)?,
        };
        #[cfg(feature = "gpu")]
        if options.device == Device::Auto && !options.reference {
            let mut session = Session::prepared(graph, packs.clone(), options)?;
            session.auto = Some(Box::new(Auto::new(packs, options)));
            return Ok(session);
        }
        Session::prepared(graph, packs, options)
    }

    /// A Session that runs `graph` after all passes; what no run changes is computed now.
    ///
    /// # Errors
    /// If the device is not there or lacks an operator.
    pub(crate) fn prepared(
        graph: Graph,
        packs: Arc<PackCache>,
        options: &Options,
    ) -> Result<Session, RunError> {
        let backend = Backend::open(options, packs.clone())?;
        let graph = bind::bind(fold::fold(graph, &packs, options)?)?;
        Session::as_it_is(graph, backend, options)
    }

    /// A Session that runs `graph` as a part of another, whose device it shares.
    ///
    /// # Errors
    /// If the device lacks an operator.
    pub(super) fn on(
        graph: &Graph,
        backend: Backend,
        options: &Options,
    ) -> Result<Session, RunError> {
        let graph = fold::fold(passes::prepare(graph)?, &backend.packs(), options)?;
        let graph = bind::bind(graph)?;
        Session::as_it_is(graph, backend, options)
    }

    /// A Session that runs `graph` as it is.
    ///
    /// # Errors
    /// If the device lacks an operator.
    pub(super) fn as_it_is(
        graph: Graph,
        backend: Backend,
        options: &Options,
    ) -> Result<Session, RunError> {
        backend.check(&graph)?;
        let kept = |index| graph.is_kept(VariableId(index));
        let states = graph.variables().iter().enumerate();
        let states = states
            .map(|(index, variable)| kept(index).then(|| (*variable.value).clone()))
            .collect();
        let program = backend.program(graph);
        let nested = Nested::new(&backend, options);
        let mut stages = Vec::with_capacity(program.stages().len());
        for (index, stage) in program.stages().iter().enumerate() {
            stages.push(match stage.on_host() {
                false => {
                    let carries = carries(&program, index);
                    StageState::Device { runner: backend.runner(stage, options), carries }
                }
                true => {
                    let nodes = stage.nodes.iter().map(|id| program.graph().node(*id));
                    let nodes = nodes.map(|node| host::make(program.graph(), node, &nested));
                    StageState::Host(nodes.collect::<Result<_, _>>()?)
                }
            });
        }
        let outputs = program.graph().outputs().iter().map(|output| output.value);
        let outputs = outputs.map(|id| Origin::of(&program, id)).collect();
        let updates = program.graph().updates().iter();
        let updates = updates.filter(|(_, value)| program.in_place(*value).is_none());
        let updates = updates.map(|(id, value)| (id.index(), Origin::of(&program, *value)));
        let updates = updates.collect();
        let carried = vec![Tensor::zeros(DType::F32, [0]); program.carried_count()];
        Ok(Session {
            program,
            backend,
            stages,
            carried,
            states,
            feed: Feed::default(),
            bindings: Bindings::new(),
            key: Vec::new(),
            outputs,
            updates,
            carry: Carry::default(),
            #[cfg(feature = "gpu")]
            auto: None,
        })
    }

    /// The Graph that runs, after all passes.
    pub fn graph(&self) -> &Graph {
        self.program.graph()
    }

    /// Runs the model on named tensors and returns its outputs.
    ///
    /// # Errors
    /// If a tensor is missing, unknown, of another type or shape, or holds what the model cannot
    /// take.
    pub fn run(&mut self, inputs: &Tensors) -> Result<Tensors, RunError> {
        let mut outputs = Tensors::new();
        self.run_into(inputs, &mut outputs)?;
        Ok(outputs)
    }

    /// Runs the model into `outputs`, whose memory is used again: at sizes seen before, text
    /// stages and the GPU's driver apart, nothing is allocated.
    ///
    /// # Errors
    /// As [`run`](Self::run). After an error the outputs are unspecified.
    pub fn run_into(&mut self, inputs: &Tensors, outputs: &mut Tensors) -> Result<(), RunError> {
        self.run_named(inputs, outputs, None)
    }

    /// Runs the model and says how long each node took.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_profiled(&mut self, inputs: &Tensors) -> Result<(Tensors, Profile), RunError> {
        let (started, mut profile) = (Instant::now(), Profile::default());
        let mut outputs = Tensors::new();
        self.run_named(inputs, &mut outputs, Some(&mut profile))?;
        profile.total_us = microseconds(started.elapsed());
        Ok((outputs, profile))
    }

    #[cfg(feature = "gpu")]
    fn run_named(
        &mut self,
        inputs: &Tensors,
        outputs: &mut Tensors,
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        let Some(mut auto) = self.auto.take() else {
            return self.run_here(inputs, outputs, profile);
        };
        let result = auto.run(self, inputs, outputs, profile);
        self.auto = Some(auto);
        result
    }

    #[cfg(not(feature = "gpu"))]
    fn run_named(
        &mut self,
        inputs: &Tensors,
        outputs: &mut Tensors,
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        self.run_here(inputs, outputs, profile)
    }

    /// The sizes of a run on `inputs`; none where they do not fit the model.
    #[cfg(feature = "gpu")]
    pub(super) fn sizes(&self, inputs: &Tensors) -> Option<Bindings> {
        let with_carried = self.carry.with(inputs);
        let inputs = with_carried.as_ref().unwrap_or(inputs);
        let mut bindings = Bindings::new();
        let bound = Feed::default().bind(self.program.graph(), inputs, &mut bindings);
        bound.ok().map(|()| bindings)
    }

    /// Exchanges what Sessions of one Graph keep from run to run.
    #[cfg(feature = "gpu")]
    pub(super) fn swap_kept(&mut self, other: &mut Session) {
        self.swap_variables(other);
        std::mem::swap(&mut self.carry, &mut other.carry);
    }

    /// Runs on the device that it is on.
    pub(super) fn run_here(
        &mut self,
        inputs: &Tensors,
        outputs: &mut Tensors,
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        let with_carried = self.carry.with(inputs);
        let inputs = with_carried.as_ref().unwrap_or(inputs);
        let mut feed = std::mem::take(&mut self.feed);
        let bound = feed.bind(self.program.graph(), inputs, &mut self.bindings);
        let fed = Fed(&feed, inputs);
        let result = bound.and_then(|()| self.execute(&fed, profile));
        if result.is_ok() {
            let named = self.program.graph().outputs();
            if !outputs.names().eq(named.iter().map(|output| output.name.as_str())) {
                let empty = |output: &Output| (output.name.clone(), Tensor::empty());
                *outputs = named.iter().map(empty).collect();
            }
            for index in 0..self.outputs.len() {
                if let Some(tensor) = outputs.at_mut(index) {
                    self.read(self.outputs[index], &fed, tensor);
                }
            }
            self.update_states(&fed);
            self.carry.keep(outputs);
        }
        self.feed = feed;
        result
    }

    /// Runs the Graph on tensors in the order of its inputs and of its types, into `outputs`, in
    /// the order of its outputs, whose memory is used again.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) fn run_values(
        &mut self,
        inputs: &[&Tensor],
        outputs: &mut Vec<Tensor>,
    ) -> Result<(), RunError> {
        feed::bind_values(self.program.graph(), inputs, &mut self.bindings)?;
        let fed = InOrder(inputs);
        self.execute(&fed, None)?;
        outputs.resize_with(self.outputs.len(), Tensor::empty);
        for (origin, tensor) in self.outputs.iter().zip(outputs) {
            self.read(*origin, &fed, tensor);
        }
        self.update_states(&fed);
        Ok(())
    }

    /// Feeds an output back: from the second run on, an input that is not given is what that output
    /// was in the run before. The first run must be given the input;
    /// [`reset_states`](Self::reset_states) makes the next run the first one again.
    ///
    /// # Errors
    /// If there is no such output or input, they differ in type, or another output is carried to
    /// the input.
    pub fn carry(&mut self, output: &str, input: &str) -> Result<(), RunError> {
        self.carry.add(self.program.graph(), output, input)
    }

    /// Puts every recurrent state back to where it started, and forgets what is carried.
    pub fn reset_states(&mut self) {
        self.carry.clear();
        for (variable, state) in self.program.graph().variables().iter().zip(&mut self.states) {
            if let Some(state) = state
                && variable.kind == VariableKind::State
            {
                state.clone_from(&variable.value);
            }
        }
    }

    /// What a Variable holds now.
    pub(crate) fn variable(&self, id: VariableId) -> &Tensor {
        match self.states.get(id.index()) {
            Some(Some(kept)) => kept,
            _ => &self.program.graph().variable(id).value,
        }
    }

    /// Exchanges the values of the Variables that both Sessions keep, which are of one model.
    pub(crate) fn swap_variables(&mut self, other: &mut Session) {
        for (own, other) in self.states.iter_mut().zip(&mut other.states) {
            if own.is_some() && other.is_some() {
                std::mem::swap(own, other);
            }
        }
    }

    /// Lets a Variable that runs change hold other values, of the same type.
    pub(crate) fn set_variable(&mut self, id: VariableId, value: &Tensor) {
        if let Some(Some(kept)) = self.states.get_mut(id.index())
            && (kept.dtype(), kept.shape()) == (value.dtype(), value.shape())
        {
            kept.clone_from(value);
        }
    }

    /// How many plans are kept, over all stages.
    pub fn plan_count(&self) -> usize {
        self.stages.iter().map(StageState::plan_count).sum()
    }

    /// How many bytes the buffers between operators hold, over all stages: as much as the largest
    /// run so far needed. Weights, inputs and outputs are not among them.
    pub fn buffer_bytes(&self) -> usize {
        self.stages.iter().map(StageState::memory).sum()
    }

    /// How many stages of the GPU the processor ran in the last run, because sizes, integers above 32
    /// bits or a lack of memory kept the device from it.
    pub fn moved_stages(&self) -> usize {
        self.stages.iter().filter(|stage| stage.was_moved()).count()
    }

    fn execute(
        &mut self,
        fed: &dyn Inputs,
        mut profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        let started = Instant::now();
        for index in 0..self.program.stages().len() {
            let from = started.elapsed();
            if self.program.stages()[index].on_host() {
                self.run_host(index, fed)?;
                if let Some(profile) = profile.as_deref_mut() {
                    let id = self.program.stages()[index].nodes[0];
                    let node = self.program.graph().node(id);
                    profile.nodes.push(ProfileEntry {
                        node: node.name.clone(),
                        op: node.op.name(),
                        start_us: microseconds(from),
                        duration_us: microseconds(started.elapsed() - from),
                        flops: 0,
                        bytes: 0,
                    });
                }
            } else {
                self.run_device(index, fed, started, profile.as_deref_mut())?;
            }
        }
        Ok(())
    }

    /// Runs the nodes of a host stage, and binds the symbols of what they gave.
    fn run_host(&mut self, index: usize, fed: &dyn Inputs) -> Result<(), RunError> {
        let graph = self.program.graph();
        let StageState::Host(runners) = &mut self.stages[index] else { return Ok(()) };
        for (id, runner) in self.program.stages()[index].nodes.iter().zip(runners) {
            let node = graph.node(*id);
            let given: Vec<Option<&Tensor>> = node
                .inputs
                .iter()
                .map(|input| match graph.value((*input)?).source {
                    Source::Input(index) => fed.input(index),
                    Source::Variable(id) => match self.states.get(id.index()) {
                        Some(Some(state)) => Some(state),
                        _ => Some(&*graph.variable(id).value),
                    },
                    Source::Constant(ref tensor) => Some(&**tensor),
                    Source::Node { .. } => {
                        self.program.carried((*input)?).map(|index| &self.carried[index])
                    }
                })
                .collect();
            let call = HostCall { node, inputs: &given, bindings: &self.bindings };
            let results = runner.run(&call)?;
            for (output, (value, result)) in node.outputs.iter().zip(results).enumerate() {
                bind_outcome(node, output, graph.ty(*value), &result, &mut self.bindings)?;
                if let Some(index) = self.program.carried(*value) {
                    self.carried[index] = result;
                }
            }
        }
        Ok(())
    }

    /// Runs a device stage, planning it first if its sizes are new.
    fn run_device(
        &mut self,
        index: usize,
        fed: &dyn Inputs,
        started: Instant,
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        self.make_key(index, fed);
        let StageState::Device { runner, .. } = &mut self.stages[index] else { return Ok(()) };
        let call = StageCall {
            given: Given {
                program: &self.program,
                inputs: fed,
                carried: &self.carried,
                states: &[],
            },
            stage: &self.program.stages()[index],
            bindings: &self.bindings,
            key: &self.key,
            started,
        };
        runner.run(&call, &mut self.states, profile)?;
        self.keep_for_later(index, fed);
        Ok(())
    }

    /// What the plan of a stage is cached by: its symbols and the shapes that it takes.
    fn make_key(&mut self, index: usize, fed: &dyn Inputs) {
        self.key.clear();
        let stage = &self.program.stages()[index];
        let given = Given {
            program: &self.program,
            inputs: fed,
            carried: &self.carried,
            states: &self.states,
        };
        self.key.extend(stage.symbols.iter().filter_map(|symbol| self.bindings.get(symbol)));
        for id in &stage.inputs {
            self.key.extend_from_slice(given.shape(*id));
        }
    }

    /// Keeps what later stages take.
    fn keep_for_later(&mut self, index: usize, fed: &dyn Inputs) {
        let count = |state: &StageState| match state {
            StageState::Device { carries, .. } => carries.len(),
            StageState::Host(_) => 0,
        };
        for at in 0..count(&self.stages[index]) {
            let StageState::Device { carries, .. } = &self.stages[index] else { return };
            let (output, slot) = carries[at];
            let mut tensor = std::mem::replace(&mut self.carried[slot], Tensor::empty());
            self.read(Origin::Stage { stage: index, output }, fed, &mut tensor);
            self.carried[slot] = tensor;
        }
    }

    fn update_states(&mut self, fed: &dyn Inputs) {
        for index in 0..self.updates.len() {
            let (state, origin) = self.updates[index];
            if let Some(mut tensor) = self.states[state].take() {
                self.read(origin, fed, &mut tensor);
                self.states[state] = Some(tensor);
            }
        }
    }

    /// Copies a value of the last run into `tensor`.
    fn read(&self, origin: Origin, fed: &dyn Inputs, tensor: &mut Tensor) {
        let graph = self.program.graph();
        let whole = match origin {
            Origin::Stage { stage, output } => {
                let given = Given {
                    program: &self.program,
                    inputs: fed,
                    carried: &self.carried,
                    states: &self.states,
                };
                if let StageState::Device { runner, .. } = &self.stages[stage] {
                    runner.output(&given, output, tensor);
                }
                return;
            }
            Origin::Carried(index) => self.carried.get(index),
            Origin::Outside(id) => match &graph.value(id).source {
                Source::Input(index) => fed.input(*index),
                Source::Constant(constant) => Some(&**constant),
                Source::Variable(id) => match self.states.get(id.index()) {
                    Some(Some(state)) => Some(state),
                    _ => Some(&*graph.variable(*id).value),
                },
                Source::Node { .. } => None,
            },
        };
        if let Some(whole) = whole {
            tensor.clone_from(whole);
        }
    }
}
