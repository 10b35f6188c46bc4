//! Layer normalization over the last axes.

use seqfuse_kernels::wgsl;

use super::lines::{self, Lines};
use super::lowering::{GpuOp, Lowering};
use crate::graph::{Graph, Node};
use crate::ops::{LayerNorm, NormForm};
use crate::runtime::RunError;
use crate::runtime::gpu::recorder::NONE;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

fn shader() -> Shader {
    lines::shader("layer_norm", &[wgsl::LAYER_NORM])
}

impl GpuOp for LayerNorm {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![shader()]
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
        let parameters = Parameters::new()
            .word(lowering.size(lines.count())?)
            .word(lowering.size(lines.axis)?)
            .word(lines.threads() as u32)
            .word(input)
            .word(output)
            .word(places[0])
            .word(places[1])
            .float(self.epsilon);
        let mut call = Dispatch::new(shader(), parameters, lines.workgroups());
        call.rounds = lines.rounds();
        let form = match self.form {
            NormForm::Standard => 0,
            NormForm::VarianceScaling => 1,
            NormForm::RootMeanSquare => 2,
        };
        call.constants = vec![("FORM", form), ("FROM_WEIGHTS", fixed.into())];
        call.weights = buffer;
        call.regions = regions;
        lowering.dispatch(call.touching(input, x.len as u64).touching(output, y.len as u64))
    }
}
