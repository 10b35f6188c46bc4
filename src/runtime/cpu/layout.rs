//! Operators that move elements: transpose, slice, reverse, concat, pad, crop.

use bytemuck::{AnyBitPattern, NoUninit};
use seqfuse_kernels::layout::{self, MAX_RANK, PadCall, SliceAxis};
use seqfuse_kernels::scatter;

use super::lowering::{CpuOp, Kernel, Lowering, Target, call, call_each};
use super::{Buffer, Env};
use crate::ops::{Concat, ConcatGradient, Crop, Pad, Reverse, Slice, SliceGradient, Transpose};
use crate::plan::Operand;
use crate::runtime::RunError;

/// An element that is moved without being looked at.
pub(super) trait Moved: AnyBitPattern + NoUninit + Send + Sync {}
impl Moved for u8 {}
impl Moved for u16 {}
impl Moved for u32 {}
impl Moved for u64 {}

/// Calls `$move::<T>` with the type that has the size of the operand's elements.
macro_rules! by_size {
    ($operand:expr, $body:ident $arguments:tt) => {
        match $operand.ty.dtype.size() {
            1 => $body::<u8> $arguments,
            2 => $body::<u16> $arguments,
            8 => $body::<u64> $arguments,
            _ => $body::<u32> $arguments,
        }
    };
}
pub(super) use by_size;

/// Refuses more dimensions than the kernels know.
///
/// # Errors
/// If `x` has more.
pub(super) fn check_rank(lowering: &Lowering<'_>, x: &Operand) -> Result<(), RunError> {
    match x.shape.len() <= MAX_RANK {
        true => Ok(()),
        false => Err(lowering.refuse(format!("at most {MAX_RANK} dimensions are possible"))),
    }
}

impl CpuOp for Transpose {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        check_rank(lowering, &x)?;
        let permutation = self.permutation.clone();
        call(y, move |env, out| {
            by_size!(x, transpose(env, &x, &permutation, out, y));
            Ok(())
        })
    }
}

fn transpose<T: Moved>(env: &Env<'_>, x: &Operand, order: &[usize], out: &mut Buffer, y: Target) {
    layout::transpose(env.cpu, env.get::<T>(x), &x.shape, order, out.get_mut::<T>(y.len));
}

impl CpuOp for Slice {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        check_rank(lowering, &x)?;
        let mut axes: Vec<SliceAxis> = x.shape.iter().map(|&size| SliceAxis::all(size)).collect();
        for slice in &self.axes {
            let (start, count) = slice.resolve(x.shape[slice.axis]);
            axes[slice.axis] = SliceAxis { start, step: slice.step as isize, count };
        }
        call(y, move |env, out| {
            by_size!(x, slice(env, &x, &axes, out, y));
            Ok(())
        })
    }
}

impl CpuOp for Crop {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        check_rank(lowering, &x)?;
        let sizes = x.shape.iter().zip(self.before.iter().zip(&self.after));
        let axes: Vec<SliceAxis> = sizes
            .map(|(&size, (&before, &after))| {
                let count = size.saturating_sub(before).saturating_sub(after);
                SliceAxis { start: before, step: 1, count }
            })
            .collect();
        call(y, move |env, out| {
            by_size!(x, slice(env, &x, &axes, out, y));
            Ok(())
        })
    }
}

fn slice<T: Moved>(env: &Env<'_>, x: &Operand, axes: &[SliceAxis], out: &mut Buffer, y: Target) {
    layout::slice(env.cpu, env.get::<T>(x), &x.shape, axes, out.get_mut::<T>(y.len));
}

impl CpuOp for Reverse {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y, axis) = (lowering.input(0)?, lowering.result()?, self.axis);
        check_rank(lowering, &x)?;
        call(y, move |env, out| {
            by_size!(x, reverse(env, &x, axis, out, y));
            Ok(())
        })
    }
}

fn reverse<T: Moved>(env: &Env<'_>, x: &Operand, axis: usize, out: &mut Buffer, y: Target) {
    layout::reverse(env.cpu, env.get::<T>(x), &x.shape, axis, out.get_mut::<T>(y.len));
}

/// The most tensors that one node joins.
const JOINED: usize = 64;

impl CpuOp for Concat {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (count, y) = (lowering.step.inputs.len(), lowering.result()?);
        if count > JOINED {
            return Err(lowering.refuse(format!("at most {JOINED} inputs are possible")));
        }
        let inputs: Vec<Operand> =
            (0..count).map(|slot| lowering.input(slot)).collect::<Result<_, _>>()?;
        let outer = inputs.first().map_or(1, |x| x.shape[..self.axis].iter().product());
        let axis = self.axis;
        call(y, move |env, out| {
            by_size!(inputs[0], concat(env, &inputs, outer, axis, out, y));
            Ok(())
        })
    }
}

fn concat<T: Moved>(
    env: &Env<'_>,
    inputs: &[Operand],
    outer: usize,
    axis: usize,
    out: &mut Buffer,
    y: Target,
) {
    let mut parts: [(&[T], usize); JOINED] = [(&[], 0); JOINED];
    for (part, x) in parts.iter_mut().zip(inputs) {
        *part = (env.get::<T>(x), x.shape[axis..].iter().product());
    }
    layout::concat(env.cpu, &parts[..inputs.len()], outer, out.get_mut::<T>(y.len));
}

impl CpuOp for Pad {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        check_rank(lowering, &x)?;
        let (sizes, value) = (self.clone(), lowering.optional(1));
        call(y, move |env, out| {
            by_size!(x, pad(env, &x, value.as_ref(), &sizes, out, y));
            Ok(())
        })
    }
}

fn pad<T: Moved>(
    env: &Env<'_>,
    x: &Operand,
    value: Option<&Operand>,
    sizes: &Pad,
    out: &mut Buffer,
    y: Target,
) {
    let Pad { before, after } = sizes;
    let value = value.and_then(|value| env.get::<T>(value).first().copied());
    let value = value.unwrap_or_else(T::zeroed);
    let call = PadCall { x: env.get(x), shape: &x.shape, before, after, value };
    layout::pad(env.cpu, call, out.get_mut::<T>(y.len));
}

impl CpuOp for ConcatGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let dy = lowering.input(0)?;
        check_rank(lowering, &dy)?;
        let mut parts = Vec::new();
        let mut start = 0;
        for index in 1..lowering.step.inputs.len() {
            let count = lowering.input(index)?.shape[self.axis];
            let mut axes: Vec<SliceAxis> = dy.shape.iter().map(|&n| SliceAxis::all(n)).collect();
            axes[self.axis] = SliceAxis { start, step: 1, count };
            start += count;
            parts.extend(lowering.output(index - 1).map(|target| (target, axes)));
        }
        call_each(parts, move |env, target, axes, out| {
            let out = out.get_mut::<u32>(target.len);
            layout::slice(env.cpu, env.get::<u32>(&dy), &dy.shape, axes, out);
        })
    }
}

impl CpuOp for SliceGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, dy, target) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        check_rank(lowering, &x)?;
        let mut axes: Vec<SliceAxis> = x.shape.iter().map(|&size| SliceAxis::all(size)).collect();
        for slice in &self.axes {
            let (start, count) = slice.resolve(x.shape[slice.axis]);
            axes[slice.axis] = SliceAxis { start, step: slice.step as isize, count };
        }
        let shape = x.shape;
        call(target, move |env, out| {
            let out = out.get_mut::<f32>(target.len);
            scatter::slice_backward(env.cpu, env.get(&dy), &shape, &axes, out);
            Ok(())
        })
    }
}
