//! Elements and slices put in their places, checked.

use bytemuck::{AnyBitPattern, NoUninit};
use seqfuse_kernels::elementwise::Number;
use seqfuse_kernels::layout::{Index, IndexOutOfRange};
use seqfuse_kernels::scatter_update::{ElementsCall, scatter_elements, scatter_nd};

use super::gather_nd::position;
use super::layout::{by_size, check_rank};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::graph::DType;
use crate::ops::{ScatterElements, ScatterKind, ScatterNd};
use crate::plan::Operand;
use crate::runtime::RunError;

/// Where updates go.
#[derive(Clone, Copy, Debug)]
enum Places {
    /// Along an axis.
    Along(usize),
    /// To slices that the first so many axes name.
    Tuples(usize),
}

/// What both operators read and write.
struct Scatter {
    x: Operand,
    indices: Operand,
    updates: Operand,
    y: Target,
    places: Places,
    kind: ScatterKind,
}

impl CpuOp for ScatterElements {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, indices) = (lowering.input(0)?, lowering.input(1)?);
        let axis = self.axis;
        let larger = |(at, (a, b)): (usize, (&usize, &usize))| at != axis && a > b;
        if indices.shape.iter().zip(&x.shape).enumerate().any(larger) {
            let reason = format!("indices {:?} do not fit x {:?}", indices.shape, x.shape);
            return Err(lowering.refuse(reason));
        }
        Scatter::lower(lowering, Places::Along(axis), self.kind)
    }
}

impl CpuOp for ScatterNd {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let depth = lowering.input(1)?.shape.last().copied().unwrap_or(0);
        Scatter::lower(lowering, Places::Tuples(depth), self.kind)
    }
}

impl Scatter {
    fn lower(
        lowering: &Lowering<'_>,
        places: Places,
        kind: ScatterKind,
    ) -> Result<Box<dyn Kernel>, RunError> {
        let (x, indices, updates) = (lowering.input(0)?, lowering.input(1)?, lowering.input(2)?);
        check_rank(lowering, &x)?;
        let expected = match places {
            Places::Along(_) => indices.shape.clone(),
            Places::Tuples(depth) => {
                let tuples = indices.shape.split_last().map_or(&[][..], |(_, tuples)| tuples);
                [tuples, x.shape.get(depth..).unwrap_or_default()].concat()
            }
        };
        if updates.shape != expected {
            let reason = format!("updates are {:?}, expected {expected:?}", updates.shape);
            return Err(lowering.refuse(reason));
        }
        let y = lowering.result()?;
        let scatter = Scatter { x, indices, updates, y, places, kind };
        let node = lowering.graph.node(lowering.step.node).name.clone();
        call(y, move |env, out| {
            let scattered = match (scatter.kind, scatter.x.ty.dtype) {
                (ScatterKind::Replace, _) => by_size!(scatter.x, replace(&scatter, env, out)),
                (_, DType::I32) => scatter.combine::<i32>(env, out),
                (_, DType::I64) => scatter.combine::<i64>(env, out),
                _ => scatter.combine::<f32>(env, out),
            };
            scattered.map_err(|outside| position(&node, outside))
        })
    }

    fn combine<T: Number + AnyBitPattern + NoUninit>(
        &self,
        env: &Env<'_>,
        out: &mut Buffer,
    ) -> Result<(), IndexOutOfRange> {
        match self.kind {
            ScatterKind::Add => self.put(env, out, T::add),
            ScatterKind::Multiply => self.put(env, out, T::mul),
            ScatterKind::Maximum => self.put(env, out, T::max),
            ScatterKind::Minimum => self.put(env, out, T::min),
            ScatterKind::Replace => self.put(env, out, |_: T, new| new),
        }
    }

    fn put<T: AnyBitPattern + NoUninit>(
        &self,
        env: &Env<'_>,
        out: &mut Buffer,
        combine: impl Fn(T, T) -> T,
    ) -> Result<(), IndexOutOfRange> {
        match self.indices.ty.dtype {
            DType::I64 => self.put_by::<T, i64>(env, out, combine),
            _ => self.put_by::<T, i32>(env, out, combine),
        }
    }

    fn put_by<T: AnyBitPattern + NoUninit, I: Index + AnyBitPattern>(
        &self,
        env: &Env<'_>,
        out: &mut Buffer,
        combine: impl Fn(T, T) -> T,
    ) -> Result<(), IndexOutOfRange> {
        let out = out.get_mut::<T>(self.y.len);
        out.copy_from_slice(env.get::<T>(&self.x));
        let (indices, updates) = (env.get::<I>(&self.indices), env.get::<T>(&self.updates));
        let shape = &self.x.shape[..];
        match self.places {
            Places::Along(axis) => {
                let indices_shape = &self.indices.shape[..];
                let call = ElementsCall { shape, indices, indices_shape, axis };
                scatter_elements(call, updates, out, combine)
            }
            Places::Tuples(depth) => scatter_nd(indices, &shape[..depth], updates, out, combine),
        }
    }
}

fn replace<T: AnyBitPattern + NoUninit>(
    scatter: &Scatter,
    env: &Env<'_>,
    out: &mut Buffer,
) -> Result<(), IndexOutOfRange> {
    scatter.put(env, out, |_: T, new| new)
}
