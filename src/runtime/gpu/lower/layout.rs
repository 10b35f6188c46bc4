//! Operators that move elements: transpose, slice, crop, reverse, concat, tile, pad.

use super::lowering::{GpuOp, Lowering};
use super::pointwise::check_rank;
use super::view::{self, View, copy, gather};
use crate::graph::{Graph, Node};
use crate::ops::{Concat, Crop, Pad, Reverse, Slice, Tile, Transpose};
use crate::runtime::RunError;
#[cfg(test)]
use crate::runtime::gpu::Shader;

impl GpuOp for Transpose {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    #[cfg(test)]
    fn shaders() -> Vec<Shader> {
        vec![view::shader()]
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let whole = View::whole(&lowering.input(0)?.shape);
        let mut view = whole.clone();
        for (axis, &from) in self.permutation.iter().enumerate() {
            view.shape[axis] = whole.shape[from];
            view.strides[axis] = whole.strides[from];
        }
        gather(lowering, &view)
    }
}

impl GpuOp for Slice {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let x = lowering.input(0)?;
        let mut view = View::whole(&x.shape);
        for slice in &self.axes {
            let (start, count) = slice.resolve(x.shape[slice.axis]);
            view.slice(slice.axis, start, count, slice.step);
        }
        gather(lowering, &view)
    }
}

impl GpuOp for Crop {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let mut view = View::whole(&lowering.input(0)?.shape);
        for (axis, (&before, &after)) in self.before.iter().zip(&self.after).enumerate() {
            let count = view.shape[axis].saturating_sub(before).saturating_sub(after);
            view.slice(axis, before, count, 1);
        }
        gather(lowering, &view)
    }
}

impl GpuOp for Reverse {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let mut view = View::whole(&lowering.input(0)?.shape);
        let size = view.shape[self.axis];
        view.slice(self.axis, size.saturating_sub(1), size, -1);
        gather(lowering, &view)
    }
}

impl GpuOp for Tile {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    /// An axis in front of each, along which it repeats; those of size 1 go again.
    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let whole = View::whole(&lowering.input(0)?.shape);
        let mut view = View { shape: Vec::new(), first: 0, strides: Vec::new() };
        for (axis, &repeats) in self.repeats.iter().enumerate() {
            view.shape.extend([repeats, whole.shape[axis]]);
            view.strides.extend([0, whole.strides[axis]]);
        }
        gather(lowering, &view)
    }
}

impl GpuOp for Concat {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (_, y) = lowering.result()?;
        let mut to = View::whole(&y.shape);
        for slot in 0..lowering.input_count() {
            let from = View::whole(&lowering.input(slot)?.shape);
            to.shape.clone_from(&from.shape);
            copy(lowering, slot, &from, &to)?;
            to.first += from.shape[self.axis] as i64 * to.strides[self.axis];
        }
        Ok(())
    }
}

impl GpuOp for Pad {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        view::pad(lowering, &self.before)
    }
}
