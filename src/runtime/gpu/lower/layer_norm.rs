//! Layer normalization over the last axes.

use seqfuse_kernels::wgsl;

use super::lines::{self, Fold, Lines};
use super::lowering::{GpuOp, Lowering};
use crate::graph::{Graph, Node};
use crate::ops::{LayerNorm, NormForm};
use crate::runtime::RunError;
use crate::runtime::gpu::Shader;
use crate::runtime::gpu::recorder::NONE;

fn shader(subgroup: u32) -> Shader {
    lines::shader("layer_norm", subgroup, &[], &[Fold::SUM], wgsl::LAYER_NORM)
}

impl GpuOp for LayerNorm {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        lines::SUBGROUPS.map(shader).into()
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let (output, y) = lowering.result()?;
        let first = x.shape.len().saturating_sub(self.axes);
        let lines = Lines::along(&x.shape, first, self.axes);
        let given: Vec<usize> =
            [1, 2].into_iter().filter(|&slot| lowering.optional(slot).is_some()).collect();
        let fixed = !given.is_empty() && given.iter().all(|&slot| lowering.is_fixed(slot));
        let mut places = [NONE; 2];
        let mut buffer = 0;
        let mut regions = Vec::new();
        if fixed {
            for (&slot, weight) in given.iter().zip(lowering.plain(&given)?) {
                places[slot - 1] = weight.offset;
                buffer = weight.buffer;
            }
        } else {
            for &slot in &given {
                places[slot - 1] = lowering.arena(slot)?;
                regions.push((places[slot - 1], lines.axis as u64));
            }
        }
        let shader = shader(lines::subgroup(lowering.device));
        let words = [input, output, 0, places[0], places[1], self.epsilon.to_bits()];
        let mut call = lines.call(lowering, shader, &words)?;
        let form = match self.form {
            NormForm::Standard => 0,
            NormForm::VarianceScaling => 1,
            NormForm::RootMeanSquare => 2,
        };
        call.constants.extend([("FORM", form), ("FROM_WEIGHTS", fixed.into())]);
        call.weights = buffer;
        call.regions = regions;
        lowering.dispatch(call.touching(input, x.len as u64).touching(output, y.len as u64))
    }
}
