//! A planned stage with its kernels.

use std::time::Instant;

use seqfuse_kernels::Isa;

use super::{Env, Kernel, Lowering, table};
use crate::graph::{Graph, TensorType};
use crate::plan::{Operand, PackCache, StagePlan, Step};
use crate::runtime::profile::microseconds;
use crate::runtime::{Profile, ProfileEntry, RunError};

/// A stage for concrete sizes, ready to run on the CPU.
pub struct CpuStage {
    plan: StagePlan,
    kernels: Vec<Box<dyn Kernel>>,
}

impl std::fmt::Debug for CpuStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuStage").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl CpuStage {
    /// Makes the kernel calls of `plan`; `reference` chooses the plain kernels.
    ///
    /// # Errors
    /// If an operator cannot run with such operands.
    pub fn new(
        graph: &Graph,
        plan: StagePlan,
        packs: &PackCache,
        isa: Isa,
        reference: bool,
    ) -> Result<CpuStage, RunError> {
        let kernels = plan
            .steps
            .iter()
            .map(|step| table::lower(&Lowering { graph, step, packs, isa, reference }));
        let kernels = kernels.collect::<Result<_, _>>()?;
        Ok(CpuStage { plan, kernels })
    }

    /// The plan.
    pub fn plan(&self) -> &StagePlan {
        &self.plan
    }

    /// Runs every node; with `profile`, times them from `started`.
    ///
    /// # Errors
    /// The first error of a kernel.
    pub fn run(
        &self,
        env: &mut Env<'_>,
        started: Instant,
        profile: Option<&mut Profile>,
    ) -> Result<(), RunError> {
        let Some(profile) = profile else {
            return self.kernels.iter().try_for_each(|kernel| kernel.run(env));
        };
        for (kernel, step) in self.kernels.iter().zip(&self.plan.steps) {
            let from = started.elapsed();
            kernel.run(env)?;
            let duration = started.elapsed() - from;
            profile.nodes.push(entry(env.graph, step, microseconds(from), microseconds(duration)));
        }
        Ok(())
    }
}

fn entry(graph: &Graph, step: &Step, start_us: f64, duration_us: f64) -> ProfileEntry {
    let node = graph.node(step.node);
    let ty = |operand: &Option<Operand>| operand.as_ref().map(|operand| operand.ty.clone());
    let inputs: Vec<Option<TensorType>> = step.inputs.iter().map(ty).collect();
    let refs: Vec<Option<&TensorType>> = inputs.iter().map(Option::as_ref).collect();
    let outputs = node.outputs.iter().zip(&step.outputs);
    let outputs: Vec<TensorType> =
        outputs.map(|(id, used)| ty(used).unwrap_or_else(|| graph.ty(*id).clone())).collect();
    let cost = node.op.cost(&refs, &outputs);
    ProfileEntry {
        node: node.name.clone(),
        op: node.op.name(),
        start_us,
        duration_us,
        flops: cost.flops,
        bytes: cost.bytes,
    }
}
