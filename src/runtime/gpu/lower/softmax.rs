//! Softmax over an axis, and its logarithm.

use seqfuse_kernels::wgsl;

use super::lines::{self, Fold, Lines};
use super::lowering::{GpuOp, Lowering};
use crate::graph::{Graph, Node};
use crate::ops::Softmax;
use crate::runtime::RunError;
use crate::runtime::gpu::Shader;

fn shader(subgroup: u32) -> Shader {
    let folds = [Fold::LARGEST, Fold::SUM];
    lines::shader("softmax", subgroup, &[], &folds, wgsl::SOFTMAX_LINES)
}

/// Records a softmax along lines, or its logarithm; `output` may be `input`.
///
/// # Errors
/// If sizes are beyond what the device counts.
pub fn record(
    lowering: &mut Lowering<'_>,
    lines: Lines,
    log: bool,
    [input, output]: [u32; 2],
) -> Result<(), RunError> {
    let mut call =
        lines.call(lowering, shader(lines::subgroup(lowering.device)), &[input, output])?;
    call.constants.push(("LOGARITHM", log.into()));
    lowering.dispatch(call.touching(input, lines.elements()).touching(output, lines.elements()))
}

impl GpuOp for Softmax {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        lines::SUBGROUPS.map(shader).into()
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let places = [input, lowering.result()?.0];
        record(lowering, Lines::along(&x.shape, self.axis, 1), self.log, places)
    }
}
