//! Operators that move elements: transpose, slice, reverse, concat.

use super::lowering::{GpuOp, Lowering, check_rank, four, strides};
use crate::graph::{Graph, Node};
use crate::ops::{Concat, Reverse, Slice, Transpose};
use crate::runtime::RunError;
use crate::runtime::gpu::StridedCopy;

/// A view of a value: sizes, the distance of its first element, and strides, all in words.
#[derive(Clone, Copy, Debug)]
struct View {
    shape: [u32; 4],
    first: i64,
    strides: [i64; 4],
}

impl View {
    /// The whole of a contiguous value.
    fn whole(lowering: &Lowering<'_>, shape: &[usize]) -> Result<View, RunError> {
        let refuse = || lowering.refuse("at most 4 dimensions of 32 bits are possible".to_owned());
        let shape = four(shape).ok_or_else(refuse)?;
        Ok(View { shape, first: 0, strides: strides(shape).map(i64::from) })
    }
}

/// Copies what `from` shows of the value at `input` to where `to` shows the value at `output`.
fn copy(
    lowering: &mut Lowering<'_>,
    (input, from): (u32, View),
    (output, to): (u32, View),
) -> Result<(), RunError> {
    let label = lowering.label();
    let narrow = |view: View| -> Option<[i32; 4]> {
        let mut strides = [0; 4];
        for (slot, stride) in strides.iter_mut().zip(view.strides) {
            *slot = i32::try_from(stride).ok()?;
        }
        Some(strides)
    };
    let at = |offset: u32, view: View| u32::try_from(i64::from(offset) + view.first).ok();
    let (Some(input), Some(output), Some(input_strides), Some(output_strides)) =
        (at(input, from), at(output, to), narrow(from), narrow(to))
    else {
        return Err(lowering.refuse("its strides are above 31 bits".to_owned()));
    };
    let op = StridedCopy { shape: to.shape, input, input_strides, output, output_strides };
    Ok(lowering.recorder.copy(label, &op)?)
}

/// Copies a view of input 0 into the only output.
fn gather(lowering: &mut Lowering<'_>, view: View) -> Result<(), RunError> {
    let (input, (output, y)) = (lowering.arena(0)?, lowering.result()?);
    let to = View::whole(lowering, &y.shape)?;
    copy(lowering, (input, view), (output, to))
}

/// Where axis `axis` of a value of `rank` dimensions stands among four.
fn place(axis: usize, rank: usize) -> usize {
    (axis + 4).saturating_sub(rank).min(3)
}

impl GpuOp for Transpose {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let x = lowering.input(0)?;
        let (whole, rank) = (View::whole(lowering, &x.shape)?, x.shape.len());
        let mut view = whole;
        for (axis, &from) in self.permutation.iter().enumerate() {
            view.shape[place(axis, rank)] = whole.shape[place(from, rank)];
            view.strides[place(axis, rank)] = whole.strides[place(from, rank)];
        }
        gather(lowering, view)
    }
}

impl GpuOp for Slice {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let x = lowering.input(0)?;
        let mut view = View::whole(lowering, &x.shape)?;
        for slice in &self.axes {
            let axis = place(slice.axis, x.shape.len());
            let (start, count) = slice.resolve(view.shape[axis] as usize);
            view.first += start as i64 * view.strides[axis];
            view.strides[axis] = view.strides[axis].saturating_mul(slice.step);
            view.shape[axis] = lowering.size(count)?;
            if count <= 1 {
                // A step beyond the axis is taken no more than once.
                view.strides[axis] = 0;
            }
        }
        gather(lowering, view)
    }
}

impl GpuOp for Reverse {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let x = lowering.input(0)?;
        let mut view = View::whole(lowering, &x.shape)?;
        let axis = place(self.axis, x.shape.len());
        view.first += i64::from(view.shape[axis].saturating_sub(1)) * view.strides[axis];
        view.strides[axis] = -view.strides[axis];
        gather(lowering, view)
    }
}

impl GpuOp for Concat {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        check_rank(graph, node)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (output, y) = lowering.result()?;
        let whole = View::whole(lowering, &y.shape)?;
        let axis = place(self.axis, y.shape.len());
        let mut to = whole;
        for slot in 0..lowering.input_count() {
            let (x, input) = (lowering.input(slot)?, lowering.arena(slot)?);
            let from = View::whole(lowering, &x.shape)?;
            to.shape = from.shape;
            copy(lowering, (input, from), (output, to))?;
            to.first += i64::from(from.shape[axis]) * whole.strides[axis];
        }
        Ok(())
    }
}
