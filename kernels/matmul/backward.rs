//! The gradients of products, themselves products with a factor transposed: for `y = x · w`,
//! `dx = dy · wᵀ` and `dw = xᵀ · dy` (Goodfellow, Bengio and Courville, "Deep Learning", 6.5.6).
//!
//! A result is cut into blocks that the shape alone decides; where that gives few, as for the
//! weights of a layer that saw many rows, the sum is cut too, and its parts are added in order.

use super::cpu::{Matrix, add_product_on, assert_inside};
use super::{Batched, Size};
use crate::pool::DisjointMut;
use crate::recurrent::assert_len;
use crate::{Cpu, reduce};

/// Rows of a block of a result.
const BLOCK_ROWS: usize = 128;
/// Columns of a block of a result.
const BLOCK_COLUMNS: usize = 256;
/// The least terms of a part of a sum.
const PART: usize = 256;
/// Blocks of a result beyond which its sums are not cut.
const ENOUGH: usize = 16;

/// A product of two matrices that may be transposed, into a dense result.
#[derive(Clone, Copy)]
struct Product<'a> {
    size: Size,
    x: &'a [f32],
    /// From a row, and from a column, to the next.
    x_strides: [usize; 2],
    w: &'a [f32],
    w_strides: [usize; 2],
}

/// How many parts the sums of a product are cut into.
fn parts(size: Size) -> usize {
    let blocks = size.rows.div_ceil(BLOCK_ROWS) * size.columns.div_ceil(BLOCK_COLUMNS);
    if blocks == 0 {
        return 1;
    }
    ENOUGH.div_ceil(blocks).min(size.depth / PART).max(1)
}

/// The values that a product needs to work in.
fn product_workspace(size: Size) -> usize {
    match parts(size) {
        1 => 0,
        parts => parts * size.rows * size.columns,
    }
}

/// The sizes of `dx = dy · wᵀ` and `dw = xᵀ · dy`.
fn sizes(size: Size) -> (Size, Size) {
    let Size { rows, depth, columns } = size;
    let dx = Size { rows, depth: columns, columns: depth };
    (dx, Size { rows: depth, depth: rows, columns })
}

impl Product<'_> {
    /// Writes the product to `y`, `[rows, columns]`.
    fn write(&self, cpu: Cpu<'_>, y: &mut [f32], workspace: &mut [f32]) {
        let Size { rows, depth, columns } = self.size;
        if y.is_empty() {
            return;
        }
        if depth == 0 {
            return y.fill(0.0);
        }
        let count = parts(self.size);
        if count == 1 {
            return self.blocks(cpu, 1, y);
        }
        let sums = &mut workspace[..count * rows * columns];
        self.blocks(cpu, count, sums);
        add_parts(cpu, sums, y);
    }

    /// Writes the product of each part of the sum to its matrix in `y`.
    fn blocks(&self, cpu: Cpu<'_>, parts: usize, y: &mut [f32]) {
        let Size { rows, depth, columns } = self.size;
        let (down, across) = (rows.div_ceil(BLOCK_ROWS), columns.div_ceil(BLOCK_COLUMNS));
        let step = depth.div_ceil(parts);
        let y = DisjointMut::new(y);
        cpu.pool.for_each(parts * down * across, &|block| {
            let (part, block) = (block / (down * across), block % (down * across));
            let (top, left) = (block / across * BLOCK_ROWS, block % across * BLOCK_COLUMNS);
            let (height, width) = (BLOCK_ROWS.min(rows - top), BLOCK_COLUMNS.min(columns - left));
            let start = (part * step).min(depth);
            let terms = step.min(depth - start);
            let out = y.start_of((part * rows + top) * columns + left);
            if terms == 0 {
                for row in 0..height {
                    let at = (part * rows + top + row) * columns + left;
                    // SAFETY: blocks do not overlap, and one part of this one lives at a time.
                    unsafe { y.slice(at..at + width) }.fill(0.0);
                }
                return;
            }
            let x = &self.x[top * self.x_strides[0] + start * self.x_strides[1]..];
            let w = &self.w[start * self.w_strides[0] + left * self.w_strides[1]..];
            let matrix = |values: &[f32], [row_stride, column_stride]: [usize; 2]| Matrix {
                start: values.as_ptr(),
                row_stride,
                column_stride,
            };
            let (x, w) = (matrix(x, self.x_strides), matrix(w, self.w_strides));
            // SAFETY: the factors lie inside `x` and `w` (the callers check all lengths against
            // the sizes), the result inside `y`, and blocks do not overlap.
            unsafe {
                add_product_on(cpu.isa, (height, terms, width), x, w, out, columns, false);
            }
        });
    }
}

/// Adds the parts of sums, `[parts, y]`, in order.
pub(crate) fn add_parts(cpu: Cpu<'_>, parts: &[f32], y: &mut [f32]) {
    const BLOCK: usize = 4 * 1024;
    let len = y.len();
    cpu.pool.for_each_chunk(y, BLOCK, &|index, y| {
        let start = index * BLOCK;
        for (part, values) in parts.chunks_exact(len).enumerate() {
            let values = &values[start..start + y.len()];
            match part {
                0 => y.copy_from_slice(values),
                _ => y.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value),
            }
        }
    });
}

/// How many values [`backward`] needs to work in.
pub fn backward_workspace_len(size: Size) -> usize {
    let (dx, dw) = sizes(size);
    let bias = reduce::sum_to_workspace_len(&[size.rows, size.columns], &[size.columns]);
    product_workspace(dx).max(product_workspace(dw)).max(bias)
}

/// The gradients of `y = x · w + bias` from that of `y`, `dy` (`[rows, columns]`; before the
/// activation): `dx = dy · wᵀ` (`[rows, depth]`), `dw = xᵀ · dy` (`[depth, columns]`) and
/// `db`, the sums of the columns of `dy` (`[columns]`). What is `None` is not computed.
///
/// # Panics
/// If a slice does not have the length that `size` says, or the workspace is shorter than
/// [`backward_workspace_len`].
#[allow(clippy::too_many_arguments)]
pub fn backward(
    cpu: Cpu<'_>,
    size: Size,
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
    db: Option<&mut [f32]>,
    workspace: &mut [f32],
) {
    let Size { rows, depth, columns } = size;
    assert_len("x", x.len(), &[rows, depth]);
    assert_len("w", w.len(), &[depth, columns]);
    assert_len("dy", dy.len(), &[rows, columns]);
    let needed = backward_workspace_len(size);
    assert!(workspace.len() >= needed, "the workspace has less than {needed} values");
    let (dx_size, dw_size) = sizes(size);
    if let Some(dx) = dx {
        assert_len("dx", dx.len(), &[rows, depth]);
        let (x_strides, w_strides) = ([columns, 1], [1, columns]);
        Product { size: dx_size, x: dy, x_strides, w, w_strides }.write(cpu, dx, workspace);
    }
    if let Some(dw) = dw {
        assert_len("dw", dw.len(), &[depth, columns]);
        let (x_strides, w_strides) = ([1, depth], [columns, 1]);
        Product { size: dw_size, x, x_strides, w: dy, w_strides }.write(cpu, dw, workspace);
    }
    if let Some(db) = db {
        assert_len("db", db.len(), &[columns]);
        reduce::sum_to(cpu, dy, &[rows, columns], &[columns], db, workspace);
    }
}

/// The gradients of a [batch of products](super::batched) from `dy` (`[batch, rows, columns]`):
/// `dx` (`[batch, rows, depth]`) and `dw` (`[batch, depth, columns]`), both dense and row-major
/// whatever the strides of `x` and `w`. What is `None` is not computed.
///
/// A factor with a batch stride of 0 still gets a gradient for each product, which
/// [`reduce::sum_to`] adds up. A gradient in the order of a transposed factor, `[batch, columns,
/// depth]` or `[batch, depth, rows]`, is itself a batch: [`batched`](super::batched) with the
/// factors exchanged and their strides turned.
///
/// # Panics
/// If strides lead out of a slice, or a length does not fit.
pub fn batched_backward(
    cpu: Cpu<'_>,
    products: Batched<'_>,
    dy: &[f32],
    dx: Option<&mut [f32]>,
    dw: Option<&mut [f32]>,
) {
    let Batched { batch, size, x, x_strides, w, w_strides } = products;
    let Size { rows, depth, columns } = size;
    assert_len("dy", dy.len(), &[batch, rows, columns]);
    if batch * rows * depth * columns > 0 {
        assert_inside("x", x.len(), [batch, rows, depth], x_strides);
        assert_inside("w", w.len(), [batch, depth, columns], w_strides);
    }
    let (dx_size, dw_size) = sizes(size);
    let turned = |[batch, row, column]: [usize; 3]| [batch, column, row];
    let dense = [rows * columns, columns, 1];
    if let Some(dx) = dx {
        let products = Batched {
            batch,
            size: dx_size,
            x: dy,
            x_strides: dense,
            w,
            w_strides: turned(w_strides),
        };
        super::batched(cpu, products, dx);
    }
    if let Some(dw) = dw {
        let products = Batched {
            batch,
            size: dw_size,
            x,
            x_strides: turned(x_strides),
            w: dy,
            w_strides: dense,
        };
        super::batched(cpu, products, dw);
    }
}
