//! The GPU as a Session's device.

use std::sync::{Arc, Mutex, Weak};

use super::buffer::Workspace;
use super::device::{DevicePreference, GpuDevice, lock};
use super::error::GpuError;
use super::lower;
use super::stage::GpuStage;
use super::store::{DeviceWeights, ModelWeights};
use crate::graph::{Data, Tensor};
use crate::plan::{NodeShapes, PackCache, Place, PlanCache, StagePlan};
use crate::runtime::cpu::{CpuBackend, CpuRunner, Values};
use crate::runtime::profile::microseconds;
use crate::runtime::stage::{Given, StageCall, StageRunner};
use crate::runtime::{Options, Profile, ProfileEntry, RunError};

/// The device that all Sessions of this process share while there are any.
static SHARED: Mutex<Weak<GpuDevice>> = Mutex::new(Weak::new());

impl GpuDevice {
    /// The device that Sessions of this process share: the best adapter, opened when the first
    /// Session asks for it, and again after it was lost.
    ///
    /// # Errors
    /// If there is no adapter, or it gives no device.
    pub fn shared() -> Result<Arc<GpuDevice>, GpuError> {
        let mut shared = lock(&SHARED);
        if let Some(device) = shared.upgrade().filter(|device| !device.is_lost()) {
            return Ok(device);
        }
        let device = GpuDevice::open(DevicePreference::Any)?;
        *shared = Arc::downgrade(&device);
        Ok(device)
    }

    /// Makes this the device that Sessions of this process share from now on, as long as somebody
    /// holds it: one that [`GpuDevice::open_with`] opened with other limits, say.
    pub fn share(self: &Arc<Self>) {
        *lock(&SHARED) = Arc::downgrade(self);
    }
}

impl From<GpuError> for RunError {
    fn from(error: GpuError) -> RunError {
        match error {
            GpuError::IdOutOfRange { what, position, id, vocabulary } => RunError::TokenId {
                node: what,
                id: id.into(),
                position,
                vocabulary: vocabulary as usize,
            },
            error => RunError::Gpu(Box::new(error)),
        }
    }
}

/// The device and the model's weights on it, which all stages of a Session share.
#[derive(Clone, Debug)]
pub struct GpuBackend {
    weights: Arc<DeviceWeights>,
}

impl GpuBackend {
    /// The device that `options` give, or the shared one; weights are shared through `packs`.
    ///
    /// # Errors
    /// If there is no adapter, or it gives no device.
    pub fn open(packs: &PackCache, options: &Options) -> Result<GpuBackend, RunError> {
        let given = options.gpu.as_ref();
        let device = given.map_or_else(GpuDevice::shared, |device| Ok(device.clone()));
        let device = device.map_err(|error| {
            let advice = match &error {
                GpuError::NoAdapter { .. } => "",
                _ => "; run on the CPU",
            };
            let cause = std::error::Error::source(&error);
            let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
            RunError::Device { device: "gpu", reason: format!("{error}{cause}{advice}") }
        })?;
        if let Some(folder) = &options.pipelines {
            device.keep_pipelines(folder)?;
        }
        Ok(GpuBackend { weights: packs.device::<ModelWeights>().on(&device, options.half_weights) })
    }

    /// The same device for another Graph, with weights of its own.
    pub fn nested(&self) -> GpuBackend {
        let packs = PackCache::new();
        GpuBackend {
            weights: packs.device::<ModelWeights>().on(&self.weights.device, self.weights.half),
        }
    }

    /// A runner for one stage, which keeps `plans` plans; `cpu` runs what the device cannot hold.
    pub fn runner(&self, plans: usize, cpu: &CpuBackend) -> GpuRunner {
        GpuRunner {
            cpu: cpu.runner(plans),
            on_cpu: false,
            weights: self.weights.clone(),
            plans: PlanCache::new(plans),
            workspace: Workspace::new(),
            results: Vec::new(),
        }
    }
}

/// What runs a stage at some sizes.
#[derive(Debug)]
enum Planned {
    Gpu(Box<GpuStage>),
    /// The processor: the device refused these sizes, and would again.
    Cpu,
}

impl Planned {
    fn gpu(&self) -> Option<&GpuStage> {
        match self {
            Planned::Gpu(stage) => Some(stage),
            Planned::Cpu => None,
        }
    }
}

/// A stage on the GPU.
#[derive(Debug)]
pub struct GpuRunner {
    weights: Arc<DeviceWeights>,
    plans: PlanCache<Planned>,
    workspace: Workspace,
    /// The outputs of the last run, a word an element.
    results: Vec<Vec<u32>>,
    /// Runs the stage where the device cannot: integers above 32 bits, sizes above its limits.
    cpu: CpuRunner,
    /// Whether that did the last run.
    on_cpu: bool,
}

/// Whether the processor can do what the GPU could not.
fn is_for_cpu(error: &RunError) -> bool {
    match error {
        RunError::InputRange { .. } | RunError::Unsupported { device: "gpu", .. } => true,
        // A device that is full, or lost, is the matter of whoever chose it.
        RunError::Gpu(error) => {
            matches!(**error, GpuError::Unfit { .. } | GpuError::Limit { .. })
        }
        _ => false,
    }
}

/// Plans the stage, and records its calls.
fn plan(call: &StageCall<'_>, weights: &DeviceWeights) -> Result<Planned, RunError> {
    let StageCall { given, stage, bindings, .. } = *call;
    let shapes: Vec<&[usize]> = stage.inputs.iter().map(|id| given.shape(*id)).collect();
    let room = |node: &NodeShapes<'_>| lower::workspace(node, &weights.device);
    let planned = StagePlan::new(given.program, stage, bindings, &shapes, &room)
        .map_err(RunError::from)
        .and_then(|plan| GpuStage::new(given.program.graph(), stage, plan, weights));
    match planned {
        Ok(stage) => Ok(Planned::Gpu(Box::new(stage))),
        Err(error) if is_for_cpu(&error) => Ok(Planned::Cpu),
        Err(error) => Err(error),
    }
}

impl GpuRunner {
    /// Runs the stage, if the device takes its sizes.
    fn run_on_device(
        &mut self,
        call: &StageCall<'_>,
        states: &[Option<Tensor>],
        profile: Option<&mut Profile>,
    ) -> Result<bool, RunError> {
        let given = Given { states, ..call.given };
        let from = call.started.elapsed();
        let planned = self.plans.get_or_make(call.key, || plan(call, &self.weights))?;
        let Planned::Gpu(compiled) = planned else { return Ok(false) };
        compiled.run(&given, &mut self.workspace, &mut self.results)?;
        self.on_cpu = false;
        if let Some(profile) = profile {
            let from = microseconds(from);
            let duration = microseconds(call.started.elapsed()) - from;
            profile.nodes.extend(summary(&given, compiled.plan(), from, duration));
        }
        Ok(true)
    }
}

impl StageRunner for GpuRunner {
    fn run(
        &mut self,
        call: &StageCall<'_>,
        states: &mut [Option<Tensor>],
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        let mut profile = profile;
        match self.run_on_device(call, states, profile.as_deref_mut()) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // What the values of this run do not allow.
            Err(error) if is_for_cpu(&error) => {}
            Err(error) => return Err(error),
        }
        self.on_cpu = true;
        self.cpu.run(call, states, profile)
    }

    fn output(&self, given: &Given<'_>, index: usize, tensor: &mut Tensor) {
        if self.on_cpu {
            return self.cpu.output(given, index, tensor);
        }
        let latest = self.plans.latest().and_then(Planned::gpu);
        let latest = latest.and_then(|stage| stage.plan().outputs.get(index));
        let (Some(operand), Some(words)) = (latest, self.results.get(index)) else { return };
        let Place::Buffer(_) = operand.place else {
            return Values::new(given, &[]).copy(operand, tensor);
        };
        tensor.reset(operand.ty.dtype, &operand.shape);
        match tensor.data_mut() {
            Data::F32(into) => fill(into, words, f32::from_bits),
            Data::I32(into) => fill(into, words, u32::cast_signed),
            Data::I64(into) => fill(into, words, |word| i64::from(word.cast_signed())),
            Data::Bool(into) => fill(into, words, |word| word != 0),
            // The check of the Graph refuses other types.
            _ => {}
        }
    }

    fn plan_count(&self) -> usize {
        self.plans.iter().filter_map(Planned::gpu).count() + self.cpu.plan_count()
    }

    fn memory(&self) -> usize {
        self.workspace.bytes() + self.cpu.memory()
    }

    fn was_moved(&self) -> bool {
        self.on_cpu
    }
}

fn fill<T>(into: &mut [T], words: &[u32], convert: impl Fn(u32) -> T) {
    into.iter_mut().zip(words).for_each(|(slot, word)| *slot = convert(*word));
}

/// One entry for all nodes of a stage, which run in one submission, under the name of the last.
fn summary(given: &Given<'_>, plan: &StagePlan, from: f64, duration: f64) -> Option<ProfileEntry> {
    let graph = given.program.graph();
    let entries = plan.steps.iter().map(|step| ProfileEntry::of(graph, step, from, duration));
    entries.reduce(|sum, entry| ProfileEntry {
        flops: sum.flops + entry.flops,
        bytes: sum.bytes + entry.bytes,
        node: format!("{} .. {}", sum.node.split(" .. ").next().unwrap_or_default(), entry.node),
        op: "gpu_stage",
        ..sum
    })
}
