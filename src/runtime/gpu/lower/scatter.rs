//! A tensor with some of its elements changed.

use seqfuse_kernels::wgsl;

use super::lowering::{GpuOp, Lowering};
use super::pointwise::check_rank;
use super::view::eight;
use crate::graph::{DType, Graph, Node};
use crate::ops::{ScatterElements, ScatterKind, ScatterNd};
use crate::runtime::RunError;
use crate::runtime::gpu::{Dispatch, Parameters, Shader};

/// Each element of the output looks at the updates that may go to it; above this many looks the
/// processor, which goes from update to element, is the faster one.
const LOOKS: usize = 1 << 28;

fn shader() -> Shader {
    Shader::new("scatter", &[wgsl::ELEMENTWISE, wgsl::SCATTER])
}

/// What follows from the operator.
struct Scatter<'a> {
    form: u32,
    kind: ScatterKind,
    /// Tuples, or the updates' size along the axis.
    count: usize,
    axis: usize,
    inner: usize,
    /// The sizes that positions count in.
    shape: &'a [usize],
    /// Those of the updates.
    sizes: &'a [usize],
}

impl Scatter<'_> {
    fn record(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (output, y) = lowering.result()?;
        if y.len.saturating_mul(self.count) > LOOKS {
            return Err(lowering.refuse("it has more updates than its kernel is for".to_owned()));
        }
        let dtype = lowering.input(0)?.ty.dtype;
        let status = lowering.recorder.checked(lowering.label());
        let mut regions = vec![(output, y.len as u64)];
        let mut places = [0; 3];
        for (slot, place) in places.iter_mut().enumerate() {
            *place = lowering.arena(slot)?;
            regions.push((*place, lowering.input(slot)?.len as u64));
        }
        let [x, indices, updates] = places;
        let parameters = Parameters::new()
            .word(lowering.size(y.len)?)
            .word(lowering.size(self.count)?)
            .word(self.shape.len() as u32)
            .word(self.axis as u32)
            .word(lowering.size(self.inner)?)
            .word(x)
            .word(indices)
            .word(updates)
            .word(output)
            .word(status)
            .aligned(eight(self.shape))
            .aligned(eight(self.sizes));
        let mut call = Dispatch::new(shader(), parameters, y.len.div_ceil(256) as u64);
        let kind = match self.kind {
            ScatterKind::Replace => 0,
            ScatterKind::Add => 1,
            ScatterKind::Multiply => 2,
            ScatterKind::Maximum => 3,
            ScatterKind::Minimum => 4,
        };
        call.constants = vec![
            ("FORM", self.form),
            ("KIND", kind),
            ("INTEGERS", (dtype != DType::F32).into()),
            ("WIDE", (dtype == DType::I64).into()),
        ];
        call.regions = regions;
        call.rounds = (self.count * (1 + self.form as usize * self.shape.len())) as u64;
        lowering.dispatch(call)
    }
}

impl GpuOp for ScatterElements {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, indices, updates) = (lowering.input(0)?, lowering.input(1)?, lowering.input(2)?);
        let larger = |(at, (a, b)): (usize, (&usize, &usize))| at != self.axis && a > b;
        let fits = !indices.shape.iter().zip(&x.shape).enumerate().any(larger);
        if !fits || updates.shape != indices.shape {
            return Err(lowering.refuse("indices and updates do not fit x".to_owned()));
        }
        let count = indices.shape.get(self.axis).copied().unwrap_or(0);
        let (axis, shape, sizes) = (self.axis, &x.shape, &indices.shape);
        Scatter { form: 0, kind: self.kind, count, axis, inner: 1, shape, sizes }.record(lowering)
    }
}

impl GpuOp for ScatterNd {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, indices, updates) = (lowering.input(0)?, lowering.input(1)?, lowering.input(2)?);
        let depth = indices.shape.last().copied().unwrap_or(0);
        let (Some(shape), Some(rest)) = (x.shape.get(..depth), x.shape.get(depth..)) else {
            return Err(lowering.refuse("indices do not fit x".to_owned()));
        };
        let tuples = indices.shape.split_last().map_or(&[][..], |(_, tuples)| tuples);
        if updates.shape != [tuples, rest].concat() {
            return Err(lowering.refuse("updates do not fit x and the indices".to_owned()));
        }
        let (count, inner) = (tuples.iter().product(), rest.iter().product());
        let kind = self.kind;
        Scatter { form: 1, kind, count, axis: 0, inner, shape, sizes: &[] }.record(lowering)
    }
}
