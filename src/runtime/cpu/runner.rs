//! The CPU as a Session's device.

use std::sync::Arc;

use seqfuse_kernels::{Cpu, Isa, Pool};

use super::{Buffer, CpuStage, Env, Values, table};
use crate::graph::{Graph, Node, Tensor};
use crate::plan::{NodeShapes, PackCache, PlanCache, StagePlan};
use crate::runtime::stage::{Given, StageCall, StageRunner, choose_isa};
use crate::runtime::{Options, Profile, RunError};

/// The threads, instruction set and packed weights that all stages of a Session share.
#[derive(Clone)]
pub struct CpuBackend {
    pool: Arc<Pool>,
    packs: Arc<PackCache>,
    isa: Isa,
    reference: bool,
}

impl std::fmt::Debug for CpuBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuBackend")
            .field("threads", &self.pool.threads())
            .field("isa", &self.isa)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

impl CpuBackend {
    /// The CPU as `options` ask for it; packed weights are shared through `packs`.
    ///
    /// # Errors
    /// If the machine has not the instruction set asked for.
    pub fn new(options: &Options, packs: Arc<PackCache>) -> Result<CpuBackend, RunError> {
        let isa = choose_isa(options.isa)?;
        let threads = options.threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        });
        let pool = Arc::new(Pool::new(threads));
        Ok(CpuBackend { pool, packs, isa, reference: options.reference })
    }

    /// The same threads and instructions for another Graph, with packed weights of its own.
    pub fn nested(&self) -> CpuBackend {
        CpuBackend { packs: Arc::new(PackCache::new()), ..self.clone() }
    }

    /// Where packed weights are kept.
    pub fn packs(&self) -> Arc<PackCache> {
        self.packs.clone()
    }

    /// A runner for one stage, which keeps `plans` plans.
    pub fn runner(&self, plans: usize) -> CpuRunner {
        CpuRunner { backend: self.clone(), plans: PlanCache::new(plans), buffers: Vec::new() }
    }
}

/// Checks that the CPU has a kernel for every node for which `asked` holds, or needs none.
///
/// # Errors
/// The first node that it has none for.
pub fn check_where(graph: &Graph, asked: impl Fn(&Node) -> bool) -> Result<(), RunError> {
    let lacking = |node: &&Node| !graph.on_host(node) && !table::supports(&*node.op) && asked(node);
    match graph.nodes().iter().find(lacking) {
        None => Ok(()),
        Some(node) => Err(RunError::Unsupported {
            node: node.name.clone(),
            op: node.op.name(),
            device: "cpu",
            reason: "it has no CPU kernel".to_owned(),
        }),
    }
}

/// A stage on the CPU.
#[derive(Debug)]
pub struct CpuRunner {
    backend: CpuBackend,
    plans: PlanCache<CpuStage>,
    buffers: Vec<Buffer>,
}

impl StageRunner for CpuRunner {
    fn run(
        &mut self,
        call: &StageCall<'_>,
        states: &mut [Option<Tensor>],
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        let StageCall { given, stage, bindings, .. } = *call;
        let CpuBackend { pool, packs, isa, reference } = &self.backend;
        let graph = given.program.graph();
        let compiled = self.plans.get_or_make(call.key, || {
            let shapes: Vec<&[usize]> = stage.inputs.iter().map(|id| given.shape(*id)).collect();
            let room = |node: &NodeShapes<'_>| table::workspace(node, graph, packs, *isa);
            let plan = StagePlan::new(given.program, stage, bindings, &shapes, &room)?;
            CpuStage::new(graph, plan, bindings, packs, *isa, *reference)
        })?;
        if self.buffers.len() < compiled.plan().buffers.len() {
            self.buffers.resize_with(compiled.plan().buffers.len(), Buffer::default);
        }
        for (buffer, &bytes) in self.buffers.iter_mut().zip(&compiled.plan().buffers) {
            buffer.grow(bytes)?;
        }
        let mut env = Env {
            cpu: Cpu { isa: *isa, pool },
            graph,
            buffers: &mut self.buffers,
            inputs: given.inputs,
            carried: given.carried,
            states,
        };
        compiled.run(&mut env, call.started, profile)
    }

    fn output(&self, given: &Given<'_>, index: usize, tensor: &mut Tensor) {
        let latest = self.plans.latest().and_then(|plan| plan.plan().outputs.get(index));
        if let Some(operand) = latest {
            Values::new(given, &self.buffers).copy(operand, tensor);
        }
    }

    fn plan_count(&self) -> usize {
        self.plans.len()
    }

    fn memory(&self) -> usize {
        self.buffers.iter().map(Buffer::bytes).sum()
    }
}
