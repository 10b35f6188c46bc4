//! Elements by their positions: take, take_along_axis, gather_nd, reverse_sequence.

use seqfuse_kernels::wgsl;

use super::lines::Lines;
use super::lowering::{GpuOp, Lowering};
use super::view::{padded, source};
use crate::graph::{Graph, Node};
use crate::ops::{GatherNd, ReverseSequence, Take, TakeAlongAxis};
use crate::runtime::RunError;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

fn shader() -> Shader {
    Shader::new("gather", &[wgsl::GATHER])
}

/// What follows from the operator.
struct Gather<'a> {
    form: u32,
    /// Whether a negative index is an error.
    unsigned: bool,
    count: usize,
    axis: usize,
    inner: usize,
    sizes: &'a [usize],
    /// The slots of x and of the indices.
    slots: [usize; 2],
}

impl Gather<'_> {
    fn record(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (output, y) = lowering.result()?;
        if y.len == 0 {
            return Ok(());
        }
        let mut call = Dispatch::new(shader(), Parameters::new(), y.len.div_ceil(256) as u64);
        let [x_slot, indices_slot] = self.slots;
        let x = source(lowering, x_slot, &mut call)?;
        let (indices, places) = (lowering.input(indices_slot)?, lowering.arena(indices_slot)?);
        call.constants.push(("FORM", self.form));
        call.constants.push(("UNSIGNED", self.unsigned.into()));
        let status = lowering.recorder.checked(lowering.label());
        call.parameters = Parameters::new()
            .word(lowering.size(y.len)?)
            .word(lowering.size(self.count)?)
            .word(lowering.size(self.axis)?)
            .word(lowering.size(self.inner)?)
            .word(self.sizes.len() as u32)
            .word(x)
            .word(places)
            .word(output)
            .word(status)
            .aligned(padded(self.sizes.iter().map(|&size| size as u32)));
        let call = call.touching(places, indices.len as u64).touching(output, y.len as u64);
        lowering.dispatch(call)
    }
}

/// Takes positions, in slot `slots[1]`, of an axis of slot `slots[0]`.
///
/// # Errors
/// If sizes are beyond what the device counts.
pub fn take(
    lowering: &mut Lowering<'_>,
    axis: usize,
    slots: [usize; 2],
    unsigned: bool,
) -> Result<(), RunError> {
    let (x, indices) = (lowering.input(slots[0])?, lowering.input(slots[1])?);
    let Lines { axis, inner, .. } = Lines::along(&x.shape, axis, 1);
    let count = indices.len;
    Gather { form: 0, unsigned, count, axis, inner, sizes: &[], slots }.record(lowering)
}

impl GpuOp for Take {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        take(lowering, self.axis, [0, 1], false)
    }
}

impl GpuOp for TakeAlongAxis {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, indices) = (lowering.input(0)?, lowering.input(1)?);
        let differ = |(at, (a, b)): (usize, (&usize, &usize))| at != self.axis && a != b;
        if x.shape.iter().zip(&indices.shape).enumerate().any(differ) {
            let reason = format!("indices {:?} do not fit x {:?}", indices.shape, x.shape);
            return Err(lowering.refuse(reason));
        }
        let Lines { axis, inner, .. } = Lines::along(&x.shape, self.axis, 1);
        let count = indices.shape.get(self.axis).copied().unwrap_or(1);
        let slots = [0, 1];
        Gather { form: 1, unsigned: false, count, axis, inner, sizes: &[], slots }.record(lowering)
    }
}

impl GpuOp for GatherNd {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        super::pointwise::check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, indices) = (lowering.input(0)?, lowering.input(1)?);
        let (batch, depth) = (self.batch, indices.shape.last().copied().unwrap_or(0));
        let named = x.shape.get(batch..batch + depth);
        let (Some(sizes), true) = (named, x.shape.get(..batch) == indices.shape.get(..batch))
        else {
            let reason = format!("indices {:?} do not fit x {:?}", indices.shape, x.shape);
            return Err(lowering.refuse(reason));
        };
        let last = indices.shape.len().saturating_sub(1);
        let tuples = indices.shape.get(batch..last).unwrap_or_default();
        let count = tuples.iter().product();
        let inner = x.shape.get(batch + depth..).unwrap_or_default().iter().product();
        let slots = [0, 1];
        Gather { form: 2, unsigned: false, count, axis: 0, inner, sizes, slots }.record(lowering)
    }
}

impl GpuOp for ReverseSequence {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![reverse_shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let (lengths, places) = (lowering.input(1)?, lowering.arena(1)?);
        let (output, y) = lowering.result()?;
        if x.shape.get(self.batch_axis).copied() != Some(lengths.len) {
            let reason = format!("lengths are {:?}, x is {:?}", lengths.shape, x.shape);
            return Err(lowering.refuse(reason));
        }
        let first = self.batch_axis.min(self.time_axis);
        let second = self.batch_axis.max(self.time_axis);
        let front = Lines::along(&x.shape, first, 1);
        let behind = Lines::along(&x.shape, second, 1);
        let middle: usize = x.shape[first + 1..second].iter().product();
        let status = lowering.recorder.checked(lowering.label());
        let parameters = Parameters::new()
            .word(lowering.size(y.len)?)
            .word(lowering.size(front.axis)?)
            .word(lowering.size(middle)?)
            .word(lowering.size(behind.axis)?)
            .word(lowering.size(behind.inner)?)
            .word(input)
            .word(places)
            .word(output)
            .word(status);
        let groups = y.len.div_ceil(256) as u64;
        let mut call = Dispatch::new(reverse_shader(), parameters, groups);
        call.constants.push(("TIME_FIRST", (self.time_axis == first).into()));
        let call = call.touching(input, x.len as u64).touching(output, y.len as u64);
        lowering.dispatch(call.touching(places, lengths.len as u64))
    }
}

fn reverse_shader() -> Shader {
    Shader::new("reverse_sequence", &[wgsl::REVERSE_SEQUENCE])
}
