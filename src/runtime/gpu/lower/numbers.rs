//! Numbers made of numbers: one_hot, bincount, arange, top_k.

use seqfuse_kernels::wgsl;

use super::lines::Lines;
use super::lowering::{GpuOp, Lowering};
use crate::graph::{DType, Graph, Node};
use crate::ops::{Arange, Bincount, OneHot, TopK};
use crate::runtime::RunError;
use crate::runtime::gpu::recorder::NONE;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

fn one_hot_shader() -> Shader {
    Shader::new("one_hot", &[wgsl::ONE_HOT])
}

impl GpuOp for OneHot {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![one_hot_shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, classes) = (lowering.input(0)?, lowering.arena(0)?);
        let (output, y) = lowering.result()?;
        let inner = x.shape.get(self.axis..).unwrap_or_default().iter().product();
        let on = if self.dtype == DType::F32 { 1f32.to_bits() } else { 1 };
        let parameters = Parameters::new()
            .word(lowering.size(y.len)?)
            .word(lowering.size(self.depth)?)
            .word(lowering.size(inner)?)
            .word(classes)
            .word(output)
            .word(on);
        let call = Dispatch::new(one_hot_shader(), parameters, y.len.div_ceil(256) as u64);
        lowering.dispatch(call.touching(classes, x.len as u64).touching(output, y.len as u64))
    }
}

fn bincount_shader() -> Shader {
    Shader::new("bincount", &[wgsl::BINCOUNT])
}

impl GpuOp for Bincount {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![bincount_shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, classes) = (lowering.input(0)?, lowering.arena(0)?);
        let weights = lowering.optional_arena(1)?;
        let (output, y) = lowering.result()?;
        let status = lowering.recorder.checked(lowering.label());
        let parameters = Parameters::new()
            .word(lowering.size(y.len)?)
            .word(lowering.size(self.depth)?)
            .word(lowering.size(x.shape.last().copied().unwrap_or(0))?)
            .word(classes)
            .word(weights.unwrap_or(NONE))
            .word(output)
            .word(status);
        let groups = y.len.div_ceil(256) as u64;
        let mut call = Dispatch::new(bincount_shader(), parameters, groups);
        call.constants.push(("BINARY", self.binary.into()));
        call.rounds = x.shape.last().copied().unwrap_or(0) as u64;
        call.regions.extend(weights.map(|place| (place, x.len as u64)));
        lowering.dispatch(call.touching(classes, x.len as u64).touching(output, y.len as u64))
    }
}

fn arange_shader() -> Shader {
    Shader::new("arange", &[wgsl::ELEMENTWISE, wgsl::ARANGE])
}

impl GpuOp for Arange {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![arange_shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (start, delta) = (lowering.arena(0)?, lowering.arena(1)?);
        let (output, y) = lowering.result()?;
        let status = lowering.recorder.checked(lowering.label());
        let parameters = Parameters::new()
            .word(lowering.size(y.len)?)
            .word(start)
            .word(delta)
            .word(output)
            .word(status);
        let groups = y.len.div_ceil(256) as u64;
        let mut call = Dispatch::new(arange_shader(), parameters, groups);
        call.constants.push(("INTEGERS", (y.ty.dtype != DType::F32).into()));
        call.constants.push(("WIDE", (y.ty.dtype == DType::I64).into()));
        let call = call.touching(start, 1).touching(delta, 1).touching(output, y.len as u64);
        lowering.dispatch(call)
    }
}

fn top_k_shader() -> Shader {
    Shader::new("top_k", &[wgsl::TOP_K])
}

impl GpuOp for TopK {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![top_k_shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let Lines { axis, inner, .. } = Lines::along(&x.shape, self.axis, 1);
        let outputs = lowering.step.map_or(&[][..], |step| &step.outputs);
        let Some(y) = outputs.iter().flatten().next() else { return Ok(()) };
        let count = y.shape.get(self.axis).copied().unwrap_or(0);
        if count > axis {
            return Err(lowering.refuse(format!("there are no {count} of {axis} elements")));
        }
        let places = [lowering.output(0), lowering.output(1)];
        let parameters = Parameters::new()
            .word(lowering.size(x.len)?)
            .word(lowering.size(axis)?)
            .word(lowering.size(inner)?)
            .word(lowering.size(count)?)
            .word(input)
            .word(places[0].unwrap_or(NONE))
            .word(places[1].unwrap_or(NONE));
        let groups = x.len.div_ceil(256) as u64;
        let mut call = Dispatch::new(top_k_shader(), parameters, groups);
        call.constants.push(("LARGEST", self.largest.into()));
        call.constants.push(("INTEGERS", (x.ty.dtype != DType::F32).into()));
        call.rounds = axis as u64;
        call.regions.extend(places.into_iter().flatten().map(|place| (place, y.len as u64)));
        lowering.dispatch(call.touching(input, x.len as u64))
    }
}
