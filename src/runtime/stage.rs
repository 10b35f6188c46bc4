//! What a device does for a Session: it runs planned stages.

use std::sync::Arc;
use std::time::Instant;

use seqfuse_kernels::Isa;

use super::cpu::{CpuBackend, Inputs};
use super::{Device, Options, Profile, RunError};
use crate::graph::{Bindings, Graph, Node, Source, Tensor, ValueId};
#[cfg(feature = "gpu")]
use crate::ops::Sizes;
use crate::plan::{PackCache, Place, Program, Stage, StagePlace};

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

    /// Whether the processor ran the stage last, because its own device could not.
    fn was_moved(&self) -> bool {
        false
    }
}

/// The device that a Session runs on.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    Cpu(CpuBackend),
    #[cfg(feature = "gpu")]
    Gpu {
        gpu: super::gpu::GpuBackend,
        /// What runs the nodes that the GPU has no kernel for.
        cpu: CpuBackend,
    },
}

impl Backend {
    /// Opens the device that `options` ask for.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) fn open(options: &Options, packs: Arc<PackCache>) -> Result<Backend, RunError> {
        match options.device {
            Device::Cpu if options.half_weights => Err(RunError::Device {
                device: "cpu",
                reason: "weights of half precision are for the GPU alone; leave them out"
                    .to_owned(),
            }),
            Device::Auto | Device::Cpu => Ok(Backend::Cpu(CpuBackend::new(options, packs)?)),
            Device::Gpu => gpu(options, packs),
        }
    }

    /// The same device and threads for another Graph, with packed weights of its own: weights are
    /// told apart by their places in one Graph.
    pub(super) fn nested(&self) -> Backend {
        match self {
            Backend::Cpu(cpu) => Backend::Cpu(cpu.nested()),
            #[cfg(feature = "gpu")]
            Backend::Gpu { gpu, cpu } => Backend::Gpu { gpu: gpu.nested(), cpu: cpu.nested() },
        }
    }

    /// Where weights are kept that were packed or computed once.
    pub(super) fn packs(&self) -> Arc<PackCache> {
        self.cpu().packs()
    }

    /// The processor, which runs what the device does not.
    fn cpu(&self) -> &CpuBackend {
        match self {
            Backend::Cpu(cpu) => cpu,
            #[cfg(feature = "gpu")]
            Backend::Gpu { cpu, .. } => cpu,
        }
    }

    /// Checks that the device or the processor has a kernel for every node.
    ///
    /// # Errors
    /// The first node that there is none for.
    pub(super) fn check(&self, graph: &Graph) -> Result<(), RunError> {
        let device = self.device();
        super::cpu::check_where(graph, |node| {
            device == StageDevice::Cpu || device.lacks(graph, node).is_some()
        })
    }

    /// The device, without what it holds.
    pub(super) fn device(&self) -> StageDevice {
        match self {
            Backend::Cpu(_) => StageDevice::Cpu,
            #[cfg(feature = "gpu")]
            Backend::Gpu { .. } => StageDevice::Gpu,
        }
    }

    /// Cuts a Graph into stages of the device, and of the processor where the device lacks a kernel.
    pub(super) fn program(&self, graph: Graph) -> Program {
        self.device().program(graph)
    }

    /// A runner for one stage.
    pub(super) fn runner(&self, stage: &Stage, options: &Options) -> Box<dyn StageRunner> {
        let plans = options.plans.unwrap_or(PLANS);
        match (self, stage.place) {
            #[cfg(feature = "gpu")]
            (Backend::Gpu { gpu, cpu }, StagePlace::Device) => Box::new(gpu.runner(plans, cpu)),
            _ => Box::new(self.cpu().runner(plans)),
        }
    }
}

/// What runs a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Placed {
    /// The GPU's kernels.
    Gpu,
    /// The processor's kernels.
    Cpu,
    /// The host: text, and nodes that run Graphs of their own.
    Host,
}

impl std::fmt::Display for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Placed::Gpu => "gpu",
            Placed::Cpu => "cpu",
            Placed::Host => "host",
        })
    }
}

/// A node of a Session's Graph, or of a Graph inside of it, and what runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The node's name, after those of the nodes that it is a part of: `outer/inner`.
    pub node: String,
    /// The operator's name.
    pub op: &'static str,
    /// What runs it; `None` for a view, which is no work.
    pub place: Option<Placed>,
    /// What the Session's device lacks, where another runs the node.
    pub reason: Option<String>,
}

/// What kernels there are for the stages of a Session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StageDevice {
    /// The processor's.
    Cpu,
    /// The GPU's, and the processor's where it has none.
    #[cfg(feature = "gpu")]
    Gpu,
}

impl StageDevice {
    /// What the device lacks for a node that does not run on the host.
    #[cfg(feature = "gpu")]
    pub(crate) fn lacks(self, graph: &Graph, node: &Node) -> Option<String> {
        match self {
            StageDevice::Cpu => None,
            StageDevice::Gpu => super::gpu::lower::check(graph, node).err(),
        }
    }

    /// What the device lacks: without the GPU's kernels it is the processor, which has all.
    #[cfg(not(feature = "gpu"))]
    pub(crate) fn lacks(self, _: &Graph, _: &Node) -> Option<String> {
        None
    }

    /// Why the processor runs a node, where the device is another.
    #[cfg(feature = "gpu")]
    fn reason(self, graph: &Graph, node: &Node) -> Option<String> {
        match self {
            StageDevice::Cpu => None,
            // Reading sizes is a part of the arithmetic.
            StageDevice::Gpu if node.op.downcast_ref::<Sizes>().is_some() => {
                Some(OF_SIZES.to_owned())
            }
            StageDevice::Gpu => self.lacks(graph, node).or_else(|| Some(OF_SIZES.to_owned())),
        }
    }

    /// Why the processor runs a node: there is nothing else.
    #[cfg(not(feature = "gpu"))]
    fn reason(self, _: &Graph, _: &Node) -> Option<String> {
        None
    }

    /// Cuts a Graph into stages.
    pub(crate) fn program(self, graph: Graph) -> Program {
        let sized = match self {
            StageDevice::Cpu => vec![false; graph.nodes().len()],
            #[cfg(feature = "gpu")]
            StageDevice::Gpu => sizes_only(&graph),
        };
        Program::placed(graph, |graph, id| {
            !sized[id.index()] && self.lacks(graph, graph.node(id)).is_none()
        })
    }

    /// What runs the nodes of a stage.
    pub(crate) fn place_of(self, place: StagePlace) -> Placed {
        match (self, place) {
            (_, StagePlace::Host) => Placed::Host,
            #[cfg(feature = "gpu")]
            (StageDevice::Gpu, StagePlace::Device) => Placed::Gpu,
            _ => Placed::Cpu,
        }
    }

    /// What runs each node of `program`; the host's nodes have no parts here.
    pub(crate) fn placements(self, program: &Program) -> Vec<Placement> {
        let graph = program.graph();
        let of = |stage: &Stage| {
            let place = self.place_of(stage.place);
            stage.nodes.clone().into_iter().map(move |id| {
                let node = graph.node(id);
                let reason = if place == Placed::Cpu { self.reason(graph, node) } else { None };
                let is_view = node.op.is_view() && place != Placed::Host;
                let place = (!is_view).then_some(place);
                Placement { node: node.name.clone(), op: node.op.name(), place, reason }
            })
        };
        program.stages().iter().flat_map(of).collect()
    }
}

/// Why a node of whose kernels the GPU lacks none runs on the processor.
#[cfg(feature = "gpu")]
const OF_SIZES: &str = "arithmetic of sizes";
/// The most elements that arithmetic of sizes gives.
#[cfg(feature = "gpu")]
const FEW: usize = 64;

/// The nodes that compute a few elements of nothing but the sizes of a run and constants: what they
/// give is often wanted on the host, and not worth a call of the device.
#[cfg(feature = "gpu")]
fn sizes_only(graph: &Graph) -> Vec<bool> {
    let mut sized: Vec<bool> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let is_small = |id: &ValueId| {
            let dims = &graph.ty(*id).dims;
            let count = dims.iter().try_fold(1usize, |n, dim| n.checked_mul(dim.known()?));
            count.is_some_and(|count| count <= FEW)
        };
        let is_sized = |id: &ValueId| match graph.value(*id).source {
            Source::Node { node, .. } => sized[node.index()],
            _ => graph.fixed(*id).is_some(),
        };
        let inputs = || node.inputs.iter().flatten();
        let follows = node.inputs.is_empty()
            || inputs().any(|id| matches!(graph.value(*id).source, Source::Node { .. }));
        sized.push(
            follows
                && !graph.on_host(node)
                && node.outputs.iter().all(is_small)
                && inputs().all(is_sized),
        );
    }
    sized
}

#[cfg(feature = "gpu")]
fn gpu(options: &Options, packs: Arc<PackCache>) -> Result<Backend, RunError> {
    if options.reference {
        let reason = "the reference kernels run on the CPU; ask for one of the two".to_owned();
        return Err(RunError::Device { device: "gpu", reason });
    }
    let gpu = super::gpu::GpuBackend::open(&packs, options)?;
    Ok(Backend::Gpu { gpu, cpu: CpuBackend::new(options, packs)? })
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: &Options, _: Arc<PackCache>) -> Result<Backend, RunError> {
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
