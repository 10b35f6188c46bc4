//! A Session: a model made ready to run with given options, and its state.

use std::sync::Arc;
use std::time::Instant;

use seqfuse_kernels::Isa;

use super::cpu::Inputs;
use super::feed::Feed;
use super::profile::{Profile, ProfileEntry, microseconds};
use super::select::select_outputs;
use super::stage::{Backend, Given, StageCall, StageRunner};
use super::{RunError, Tensors, fold, host};
use crate::graph::{
    Bindings, DType, Dim, Graph, Source, Tensor, ValueId, VariableId, VariableKind,
};
use crate::passes;
use crate::plan::{PackCache, Program};

/// Where a Session runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The device that this model runs on best: today always the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The graphics processor, through wgpu.
    Gpu,
}

/// How a Session runs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(super) device: Device,
    pub(super) threads: Option<usize>,
    pub(super) outputs: Vec<String>,
    pub(super) plans: Option<usize>,
    pub(super) isa: Option<Isa>,
    pub(super) reference: bool,
}

impl Options {
    /// The defaults: the device chosen by itself, a thread for each core, the model's outputs.
    pub fn new() -> Options {
        Options::default()
    }

    /// Runs on `device`.
    pub fn device(mut self, device: Device) -> Options {
        self.device = device;
        self
    }

    /// Runs with `threads` threads, the caller's among them.
    pub fn threads(mut self, threads: usize) -> Options {
        self.threads = Some(threads);
        self
    }

    /// Returns these outputs instead of the model's: names of outputs or of layers.
    pub fn outputs<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Options {
        self.outputs = names.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps the plans of this many different sizes a stage (16 by default).
    pub fn plans(mut self, limit: usize) -> Options {
        self.plans = Some(limit);
        self
    }

    /// Runs with this instruction set instead of the widest of the machine; one that the machine
    /// does not have is refused.
    pub fn isa(mut self, isa: Isa) -> Options {
        self.isa = Some(isa);
        self
    }

    /// Runs the plain reference kernels, which are slow, to check the fast ones.
    pub fn reference(mut self, reference: bool) -> Options {
        self.reference = reference;
        self
    }
}

/// A model made ready to run, with its state: recurrent states, plans, buffers, threads.
///
/// Sessions of one model share its weights, packed ones too, and may run on different threads.
pub struct Session {
    program: Program,
    backend: Backend,
    stages: Vec<StageState>,
    carried: Vec<Tensor>,
    states: Vec<Option<Tensor>>,
    feed: Feed,
    bindings: Bindings,
    key: Vec<usize>,
    outputs: Vec<Origin>,
    updates: Vec<(usize, Origin)>,
}

/// What a Session keeps for a stage.
struct StageState {
    runner: Box<dyn StageRunner>,
    /// Outputs that later stages take, and their positions among the carried values.
    carries: Vec<(usize, usize)>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("model", &self.program.graph().name())
            .field("device", &self.backend)
            .finish_non_exhaustive()
    }
}

struct Fed<'a>(&'a Feed, &'a Tensors);

impl Inputs for Fed<'_> {
    fn input(&self, index: usize) -> Option<&Tensor> {
        self.0.get(self.1, index)
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
        let graph = fold::fold(graph, &packs, options)?;
        Session::as_it_is(graph, packs, options)
    }

    /// A Session that runs `graph` as it is.
    ///
    /// # Errors
    /// If the device is not there or lacks an operator.
    pub(super) fn as_it_is(
        graph: Graph,
        packs: Arc<PackCache>,
        options: &Options,
    ) -> Result<Session, RunError> {
        let backend = Backend::open(options, packs)?;
        backend.check(&graph)?;
        let kept = |index| graph.is_kept(VariableId(index));
        let states = graph.variables().iter().enumerate();
        let states = states
            .map(|(index, variable)| kept(index).then(|| (*variable.value).clone()))
            .collect();
        let program = Program::new(graph);
        let stages = (0..program.stages().len()).map(|index| StageState {
            runner: backend.runner(options),
            carries: carries(&program, index),
        });
        let stages = stages.collect();
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
        self.execute(inputs, None)?;
        self.write_outputs(inputs, outputs);
        self.update_states(inputs);
        Ok(())
    }

    /// Runs the model and says how long each node took.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_profiled(&mut self, inputs: &Tensors) -> Result<(Tensors, Profile), RunError> {
        let (started, mut profile) = (Instant::now(), Profile::default());
        let mut outputs = Tensors::new();
        self.execute(inputs, Some(&mut profile))?;
        self.write_outputs(inputs, &mut outputs);
        self.update_states(inputs);
        profile.total_us = microseconds(started.elapsed());
        Ok((outputs, profile))
    }

    /// Puts every recurrent state back to where it started.
    pub fn reset_states(&mut self) {
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
        self.stages.iter().map(|stage| stage.runner.plan_count()).sum()
    }

    /// How many bytes the buffers between operators hold, over all stages: as much as the largest
    /// run so far needed. Weights, inputs and outputs are not among them.
    pub fn buffer_bytes(&self) -> usize {
        self.stages.iter().map(|stage| stage.runner.memory()).sum()
    }

    fn execute(
        &mut self,
        inputs: &Tensors,
        mut profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        self.feed.bind(self.program.graph(), inputs, &mut self.bindings)?;
        let started = Instant::now();
        for index in 0..self.program.stages().len() {
            let from = started.elapsed();
            if self.program.stages()[index].on_host {
                self.run_host(index, inputs)?;
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
                self.run_device(index, inputs, started, profile.as_deref_mut())?;
            }
        }
        Ok(())
    }

    /// Runs the nodes of a host stage, and binds the symbols of what they gave.
    fn run_host(&mut self, index: usize, inputs: &Tensors) -> Result<(), RunError> {
        let graph = self.program.graph();
        for id in &self.program.stages()[index].nodes {
            let node = graph.node(*id);
            let fed = Fed(&self.feed, inputs);
            let given: Vec<Option<&Tensor>> = node
                .inputs
                .iter()
                .map(|input| match graph.value((*input)?).source {
                    Source::Input(index) => fed.input(index),
                    Source::Variable(id) => Some(&*graph.variable(id).value),
                    Source::Constant(ref tensor) => Some(&**tensor),
                    Source::Node { .. } => {
                        self.program.carried((*input)?).map(|index| &self.carried[index])
                    }
                })
                .collect();
            let results = host::run(node, &given)?;
            for (value, result) in node.outputs.iter().zip(results) {
                for (dim, &size) in graph.ty(*value).dims.iter().zip(result.shape()) {
                    if let Dim::Symbol(symbol) = dim {
                        self.bindings.bind(symbol, size);
                    }
                }
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
        inputs: &Tensors,
        started: Instant,
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        self.make_key(index, inputs);
        let fed = Fed(&self.feed, inputs);
        let call = StageCall {
            given: Given {
                program: &self.program,
                inputs: &fed,
                carried: &self.carried,
                states: &[],
            },
            stage: &self.program.stages()[index],
            bindings: &self.bindings,
            key: &self.key,
            started,
        };
        self.stages[index].runner.run(&call, &mut self.states, profile)?;
        self.carry(index, inputs);
        Ok(())
    }

    /// What the plan of a stage is cached by: its symbols and the shapes that it takes.
    fn make_key(&mut self, index: usize, inputs: &Tensors) {
        self.key.clear();
        let stage = &self.program.stages()[index];
        let fed = Fed(&self.feed, inputs);
        let given = Given {
            program: &self.program,
            inputs: &fed,
            carried: &self.carried,
            states: &self.states,
        };
        self.key.extend(stage.symbols.iter().filter_map(|symbol| self.bindings.get(symbol)));
        for id in &stage.inputs {
            self.key.extend_from_slice(given.shape(*id));
        }
    }

    /// Keeps what later stages take.
    fn carry(&mut self, index: usize, inputs: &Tensors) {
        for at in 0..self.stages[index].carries.len() {
            let (output, slot) = self.stages[index].carries[at];
            let mut tensor = std::mem::replace(&mut self.carried[slot], Tensor::empty());
            self.read(Origin::Stage { stage: index, output }, inputs, &mut tensor);
            self.carried[slot] = tensor;
        }
    }

    fn write_outputs(&mut self, inputs: &Tensors, outputs: &mut Tensors) {
        let named = self.program.graph().outputs();
        if !outputs.names().eq(named.iter().map(|output| output.name.as_str())) {
            *outputs = named.iter().map(|output| (output.name.clone(), Tensor::empty())).collect();
        }
        for index in 0..self.outputs.len() {
            if let Some(tensor) = outputs.at_mut(index) {
                self.read(self.outputs[index], inputs, tensor);
            }
        }
    }

    fn update_states(&mut self, inputs: &Tensors) {
        for index in 0..self.updates.len() {
            let (state, origin) = self.updates[index];
            if let Some(mut tensor) = self.states[state].take() {
                self.read(origin, inputs, &mut tensor);
                self.states[state] = Some(tensor);
            }
        }
    }

    /// Copies a value of the last run into `tensor`.
    fn read(&self, origin: Origin, inputs: &Tensors, tensor: &mut Tensor) {
        let (fed, graph) = (Fed(&self.feed, inputs), self.program.graph());
        let whole = match origin {
            Origin::Stage { stage, output } => {
                let given = Given {
                    program: &self.program,
                    inputs: &fed,
                    carried: &self.carried,
                    states: &self.states,
                };
                return self.stages[stage].runner.output(&given, output, tensor);
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

/// Where a value is found after a run.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Stage { stage: usize, output: usize },
    Carried(usize),
    Outside(ValueId),
}

impl Origin {
    fn of(program: &Program, id: ValueId) -> Origin {
        for (index, stage) in program.stages().iter().enumerate() {
            if let Some(output) = stage.outputs.iter().position(|output| *output == id) {
                return match (stage.on_host, program.carried(id)) {
                    (true, Some(slot)) => Origin::Carried(slot),
                    _ => Origin::Stage { stage: index, output },
                };
            }
        }
        Origin::Outside(id)
    }
}

/// The outputs of a device stage that later stages take, with their carried positions.
fn carries(program: &Program, index: usize) -> Vec<(usize, usize)> {
    let stage = &program.stages()[index];
    if stage.on_host {
        return Vec::new();
    }
    let later = &program.stages()[index + 1..];
    let taken = stage
        .outputs
        .iter()
        .enumerate()
        .filter(|(_, id)| later.iter().any(|stage| stage.inputs.contains(id)));
    taken.filter_map(|(output, id)| Some((output, program.carried(*id)?))).collect()
}
