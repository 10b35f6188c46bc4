//! The best elements of an axis.

use bytemuck::{AnyBitPattern, NoUninit};
use seqfuse_kernels::top_k::{self, Ordered, TopKCall};

use super::lowering::{CpuOp, Kernel, Lowering, Weights, call_many, shape_of};
use crate::graph::DType;
use crate::ops::TopK;
use crate::plan::{NodeShapes, PlanError};
use crate::runtime::RunError;

/// The sizes in front of an axis, its own, and those behind it.
fn extent(shape: &[usize], axis: usize) -> Option<[usize; 3]> {
    let (front, behind) = shape.split_at_checked(axis)?;
    let (size, behind) = behind.split_first()?;
    Some([front.iter().product(), *size, behind.iter().product()])
}

impl CpuOp for TopK {
    fn workspace(&self, node: &NodeShapes<'_>, _: &Weights<'_>) -> usize {
        let sizes = shape_of(node, 0).and_then(|shape| extent(&shape, self.axis));
        sizes.map_or(0, |[outer, axis, inner]| {
            top_k::workspace_len(outer, axis, inner).saturating_mul(4)
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let x = lowering.input(0)?;
        match x.ty.dtype {
            DType::I32 => lower::<i32>(self, lowering),
            DType::I64 => lower::<i64>(self, lowering),
            _ => lower::<f32>(self, lowering),
        }
    }
}

fn lower<T: Ordered + AnyBitPattern + NoUninit>(
    op: &TopK,
    lowering: &Lowering<'_>,
) -> Result<Box<dyn Kernel>, RunError> {
    let (x, largest) = (lowering.input(0)?, op.largest);
    let extent = extent(&x.shape, op.axis);
    let [outer, axis, inner] =
        extent.ok_or_else(|| lowering.refuse(format!("x has no axis {}", op.axis)))?;
    let count = op.count.eval(lowering.bindings).map_err(PlanError::from)?;
    if count > axis || u32::try_from(axis).is_err() {
        return Err(lowering.refuse(format!("there are no {count} of {axis} elements")));
    }
    let targets = [lowering.output(0), lowering.output(1), lowering.workspace()];
    call_many(targets, move |env, [values, positions, workspace]| {
        let call = TopKCall { x: env.get::<T>(&x), outer, axis, inner, count, largest };
        let room = workspace.get_mut::<u32>(targets[2].map_or(0, |target| target.len));
        let values = targets[0].map(|target| values.get_mut::<T>(target.len));
        let positions = targets[1].map(|target| positions.get_mut::<i64>(target.len));
        top_k::top_k(env.cpu, call, room, values, positions);
        Ok(())
    })
}
