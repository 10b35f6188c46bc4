//! What a device does for a Session: it runs planned stages.

use std::sync::Arc;
use std::time::Instant;

use seqfuse_kernels::Isa;

use super::cpu::{CpuBackend, Inputs};
use super::{Device, Options, Profile, RunError};
use crate::graph::{Bindings, Graph, Source, Tensor, ValueId};
use crate::plan::{PackCache, Place, Program, Stage};

/// How many plans a stage keeps unless told otherwise.
const PLANS: usize = 16;

/// What a stage takes from outside in one run.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// The Graph and its stages.
    pub program: &'a Program,
    /// The inputs of the run.
    pub inputs: &'a dyn Inputs,
    /// What earlier stages left.
    pub carried: &'a [Tensor],
    /// The Variables that the Session keeps, by their position; others are `None`. While a stage
    /// runs, which may change them, they are given apart.
    pub states: &'a [Option<Tensor>],
}

impl<'a> Given<'a> {
    /// The tensor in a place outside of the stage.
    pub fn tensor(&self, place: &'a Place) -> Option<&'a Tensor> {
        match place {
            Place::Buffer(_) => None,
            Place::Input(index) => self.inputs.input(*index),
            Place::Carried(index) => self.carried.get(*index),
            Place::Variable(id) => Some(&*self.program.graph().variable(*id).value),
            Place::State(id) => self.states.get(id.index())?.as_ref(),
            Place::Constant(tensor) => Some(tensor),
        }
    }

    /// The shape of a value that a stage takes from outside.
    pub fn shape(&self, id: ValueId) -> &'a [usize] {
        let tensor = match self.program.graph().value(id).source {
            Source::Input(index) => self.inputs.input(index),
            _ => self.program.carried(id).and_then(|index| self.carried.get(index)),
        };
        tensor.map_or(&[], Tensor::shape)
    }
}

/// One run of a stage.
#[derive(Clone, Copy)]
pub struct StageCall<'a> {
    /// What it takes.
    pub given: Given<'a>,
    /// The stage.
    pub stage: &'a Stage,
    /// The sizes of this run.
    pub bindings: &'a Bindings,
    /// What plans are cached by: the sizes that the plan depends on.
    pub key: &'a [usize],
    /// When the run began.
    pub started: Instant,
}

/// A stage on a device: its plans by sizes, its memory, and the values of its last run.
pub trait StageRunner: Send + Sync {
    /// Runs the stage, planning it first if its sizes are new; Variables among `states` may be
    /// written in place.
    ///
    /// # Errors
    /// If an operator refuses the sizes or the data, or the device fails.
    fn run(
        &mut self,
        call: &StageCall<'_>,
        states: &mut [Option<Tensor>],
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError>;

    /// Copies output `index` of the last run into `tensor`.
    fn output(&self, given: &Given<'_>, index: usize, tensor: &mut Tensor);

    /// How many plans are kept.
    fn plan_count(&self) -> usize;

    /// How many bytes the buffers of the stage hold, which all of its plans share.
    fn memory(&self) -> usize;
}

/// The device that a Session runs on.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    Cpu(CpuBackend),
    #[cfg(feature = "gpu")]
    Gpu(super::gpu::GpuBackend),
}

impl Backend {
    /// Opens the device that `options` ask for.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) fn open(options: &Options, packs: Arc<PackCache>) -> Result<Backend, RunError> {
        match options.device {
            Device::Auto | Device::Cpu => Ok(Backend::Cpu(CpuBackend::new(options, packs)?)),
            Device::Gpu => gpu(options, &packs),
        }
    }

    /// The same device and threads for another Graph, with packed weights of its own: weights are
    /// told apart by their places in one Graph.
    pub(super) fn nested(&self) -> Backend {
        match self {
            Backend::Cpu(cpu) => Backend::Cpu(cpu.nested()),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => Backend::Gpu(gpu.nested()),
        }
    }

    /// Where weights are kept that were packed or computed once.
    pub(super) fn packs(&self) -> Arc<PackCache> {
        match self {
            Backend::Cpu(cpu) => cpu.packs(),
            // The device keeps its own.
            #[cfg(feature = "gpu")]
            Backend::Gpu(_) => Arc::new(PackCache::new()),
        }
    }

    /// Checks that the device has a kernel for every node.
    ///
    /// # Errors
    /// The first node that it has none for.
    pub(super) fn check(&self, graph: &Graph) -> Result<(), RunError> {
        match self {
            Backend::Cpu(_) => super::cpu::check(graph),
            #[cfg(feature = "gpu")]
            Backend::Gpu(_) => super::gpu::lower::check(graph),
        }
    }

    /// A runner for one stage.
    pub(super) fn runner(&self, options: &Options) -> Box<dyn StageRunner> {
        let plans = options.plans.unwrap_or(PLANS);
        match self {
            Backend::Cpu(cpu) => Box::new(cpu.runner(plans)),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => Box::new(gpu.runner(plans)),
        }
    }
}

#[cfg(feature = "gpu")]
fn gpu(options: &Options, packs: &PackCache) -> Result<Backend, RunError> {
    if options.reference {
        let reason = "the reference kernels run on the CPU; ask for one of the two".to_owned();
        return Err(RunError::Device { device: "gpu", reason });
    }
    Ok(Backend::Gpu(super::gpu::GpuBackend::open(packs)?))
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: &Options, _: &PackCache) -> Result<Backend, RunError> {
    let reason = "this build has no GPU runtime; build seqfuse with the feature `gpu`, or run on \
                  the CPU";
    Err(RunError::Device { device: "gpu", reason: reason.to_owned() })
}

/// The instruction set asked for, or the widest of the machine.
pub(super) fn choose_isa(wanted: Option<Isa>) -> Result<Isa, RunError> {
    match wanted {
        None => Ok(Isa::detect()),
        Some(isa) if Isa::available().contains(&isa) => Ok(isa),
        Some(isa) => Err(RunError::Device {
            device: "cpu",
            reason: format!("this machine has no {isa:?} instructions"),
        }),
    }
}
