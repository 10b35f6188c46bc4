//! A planned stage with its kernels.

use std::time::Instant;

use seqfuse_kernels::Isa;

use super::{Env, Kernel, Lowering, table};
use crate::graph::{Bindings, Graph};
use crate::plan::{PackCache, StagePlan};
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
        bindings: &Bindings,
        packs: &PackCache,
        isa: Isa,
        reference: bool,
    ) -> Result<CpuStage, RunError> {
        let kernels = plan
            .steps
            .iter()
            .map(|step| table::lower(&Lowering { graph, step, bindings, packs, isa, reference }));
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
            let (from, duration) = (microseconds(from), microseconds(duration));
            profile.nodes.push(ProfileEntry::of(env.graph, step, from, duration));
        }
        Ok(())
    }
}
