//! Elements of an axis by a position for each, checked.

use bytemuck::AnyBitPattern;
use seqfuse_kernels::layout::{self, Index, IndexOutOfRange, TakeCall};
use seqfuse_kernels::scatter::{self, TakeBackward};

use super::layout::{Moved, by_size};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::{TakeAlongAxis, TakeAlongAxisGradient};
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for TakeAlongAxis {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, indices, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let axis = self.axis;
        let differ = |(at, (a, b)): (usize, (&usize, &usize))| at != axis && a != b;
        if x.shape.iter().zip(&indices.shape).enumerate().any(differ) {
            let reason = format!("indices {:?} do not fit x {:?}", indices.shape, x.shape);
            return Err(lowering.refuse(reason));
        }
        let node = lowering.graph.node(lowering.step.node).name.clone();
        call(y, move |env, out| {
            let taken = by_size!(x, take(env, &x, &indices, axis, out, y));
            taken.map_err(|IndexOutOfRange { position, value, size }| RunError::Position {
                node: node.clone(),
                value,
                index: position,
                size,
            })
        })
    }
}

fn take<T: Moved>(
    env: &Env<'_>,
    x: &Operand,
    indices: &Operand,
    axis: usize,
    out: &mut Buffer,
    y: Target,
) -> Result<(), IndexOutOfRange> {
    match indices.ty.dtype {
        DType::I64 => take_by::<T, i64>(env, x, indices, axis, out, y),
        _ => take_by::<T, i32>(env, x, indices, axis, out, y),
    }
}

fn take_by<T: Moved, I: Index + AnyBitPattern>(
    env: &Env<'_>,
    x: &Operand,
    indices: &Operand,
    axis: usize,
    out: &mut Buffer,
    y: Target,
) -> Result<(), IndexOutOfRange> {
    let (outer, inner) = (x.shape[..axis].iter().product(), x.shape[axis + 1..].iter().product());
    let axis = x.shape[axis];
    let (x, indices) = (env.get::<T>(x), env.get::<I>(indices));
    layout::take_along_axis(TakeCall { x, indices, outer, axis, inner }, out.get_mut::<T>(y.len))
}

impl CpuOp for TakeAlongAxisGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let [x, indices, dy] = [lowering.input(0)?, lowering.input(1)?, lowering.input(2)?];
        let target = lowering.result()?;
        let outer = x.shape[..self.axis].iter().product();
        let inner = x.shape[self.axis + 1..].iter().product();
        let axis = x.shape[self.axis];
        let node = lowering.graph.node(lowering.step.node).name.clone();
        call(target, move |env, out| {
            let (cpu, dy, out) = (env.cpu, env.get(&dy), out.get_mut::<f32>(target.len));
            let added = match indices.ty.dtype {
                DType::I64 => {
                    let indices = env.get::<i64>(&indices);
                    let call = TakeBackward { dy, indices, outer, axis, inner };
                    scatter::take_along_axis_backward(cpu, call, out)
                }
                _ => {
                    let indices = env.get::<i32>(&indices);
                    let call = TakeBackward { dy, indices, outer, axis, inner };
                    scatter::take_along_axis_backward(cpu, call, out)
                }
            };
            added.map_err(|IndexOutOfRange { position, value, size }| RunError::Position {
                node: node.clone(),
                value,
                index: position,
                size,
            })
        })
    }
}
