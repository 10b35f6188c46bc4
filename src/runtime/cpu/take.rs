//! Elements of an axis by their positions, checked.

use seqfuse_kernels::layout::{self, IndexOutOfRange, TakeCall};
use seqfuse_kernels::scatter::{self, TakeBackward};

use super::layout::{Moved, by_size};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::{Take, TakeGradient};
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for Take {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, indices, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let axis = self.axis;
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
    let out = out.get_mut::<T>(y.len);
    let (outer, inner) = (x.shape[..axis].iter().product(), x.shape[axis + 1..].iter().product());
    let (axis, x) = (x.shape[axis], env.get::<T>(x));
    match indices.ty.dtype {
        DType::I64 => {
            let indices = env.get::<i64>(indices);
            layout::take(env.cpu, TakeCall { x, indices, outer, axis, inner }, out)
        }
        _ => {
            let indices = env.get::<i32>(indices);
            layout::take(env.cpu, TakeCall { x, indices, outer, axis, inner }, out)
        }
    }
}

impl CpuOp for TakeGradient {
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
                    scatter::take_backward(cpu, call, out)
                }
                _ => {
                    let indices = env.get::<i32>(&indices);
                    let call = TakeBackward { dy, indices, outer, axis, inner };
                    scatter::take_backward(cpu, call, out)
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
