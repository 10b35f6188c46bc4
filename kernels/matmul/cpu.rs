//! The fast form: single-threaded calls of `gemm` on blocks that the shape alone decides, and an
//! own kernel for a few rows, where packing the right factor would cost more than the product.

// Small constant ranges, which index several arrays at once, unroll best as they stand.
#![allow(clippy::needless_range_loop)]

use super::Size;
use crate::activation::Activation;
use crate::isa::{Kernel, Simd};
use crate::pool::DisjointMut;
use crate::recurrent::assert_len;
use crate::tile::{self, Left, Out, Right, Start};
use crate::{Cpu, Isa};

/// Up to so many rows the own kernel is used.
const FEW_ROWS: usize = 4;
/// Rows of a block for `gemm`.
const BLOCK_ROWS: usize = 128;
/// Columns of a block for `gemm`.
const BLOCK_COLUMNS: usize = 256;
/// The most values from a row of a right factor to the next that is read where it stands.
const NEAR: usize = 256;
/// Multiplications that are worth waking a thread for.
const WORTH_A_THREAD: usize = 1 << 16;

/// `y = act(x · w + bias)`: `x` `[rows, depth]`, `w` `[depth, columns]` (a Keras kernel as it is),
/// `bias` `[columns]`, `y` `[rows, columns]`. The activation may work on rows.
///
/// # Panics
/// If a slice does not have the length that `size` says, or the activation is GLU, whose result
/// has another width.
pub fn matmul(
    cpu: Cpu<'_>,
    size: Size,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
    y: &mut [f32],
) {
    let Size { rows, depth, columns } = size;
    assert_len("x", x.len(), &[rows, depth]);
    assert_len("w", w.len(), &[depth, columns]);
    assert_len("y", y.len(), &[rows, columns]);
    if let Some(bias) = bias {
        assert_len("bias", bias.len(), &[columns]);
    }
    assert!(activation != Activation::Glu, "glu halves its rows: apply it to the result");
    if y.is_empty() {
        return;
    }
    let wide = Blocks::new(size);
    let out = DisjointMut::new(y);
    cpu.pool.for_each(wide.count, &|index| {
        let block = wide.block(index);
        let width = block.columns.1 - block.columns.0;
        let part = |row: usize| {
            let start = row * columns + block.columns.0;
            // SAFETY: blocks do not overlap, and within a block one part lives at a time.
            unsafe { out.slice(start..start + width) }
        };
        if rows <= FEW_ROWS {
            cpu.isa.run(FewRows { size, x, w, bias, columns: block.columns, y: out });
        } else {
            for row in block.rows.0..block.rows.1 {
                match bias {
                    Some(bias) => {
                        part(row).copy_from_slice(&bias[block.columns.0..block.columns.1])
                    }
                    None => part(row).fill(0.0),
                }
            }
            multiply_block(cpu.isa, &block, size, x, w, out);
        }
        if activation.is_elementwise() && activation != Activation::Linear {
            (block.rows.0..block.rows.1).for_each(|row| activation.apply(cpu.isa, part(row)));
        }
    });
    if !activation.is_elementwise() {
        cpu.pool.for_each_chunk(y, BLOCK_ROWS * columns, &|_, rows| {
            activation.apply_rows(cpu.isa, rows, columns);
        });
    }
}

/// How a product is cut.
struct Blocks {
    count: usize,
    size: Size,
    row_step: usize,
    column_step: usize,
    across: usize,
}

struct Block {
    rows: (usize, usize),
    columns: (usize, usize),
}

impl Blocks {
    fn new(size: Size) -> Blocks {
        let Size { rows, depth, columns } = size;
        let small = rows * depth.max(1) * columns <= 2 * WORTH_A_THREAD;
        let row_step = if small { rows } else { BLOCK_ROWS };
        let column_step = if small { columns } else { BLOCK_COLUMNS };
        let across = columns.div_ceil(column_step);
        Blocks { count: rows.div_ceil(row_step) * across, size, row_step, column_step, across }
    }

    fn block(&self, index: usize) -> Block {
        let (down, across) = (index / self.across, index % self.across);
        let range =
            |index: usize, step: usize, end: usize| (index * step, end.min((index + 1) * step));
        Block {
            rows: range(down, self.row_step, self.size.rows),
            columns: range(across, self.column_step, self.size.columns),
        }
    }
}

/// Adds a block of the product to what stands in `y`.
fn multiply_block(
    isa: Isa,
    block: &Block,
    size: Size,
    x: &[f32],
    w: &[f32],
    y: DisjointMut<'_, f32>,
) {
    let Size { depth, columns, .. } = size;
    if depth == 0 {
        return;
    }
    let (rows, width) = (block.rows.1 - block.rows.0, block.columns.1 - block.columns.0);
    let x = &x[block.rows.0 * depth..block.rows.1 * depth];
    let w = &w[block.columns.0..];
    let left = Matrix { start: x.as_ptr(), row_stride: depth, column_stride: 1 };
    let right = Matrix { start: w.as_ptr(), row_stride: columns, column_stride: 1 };
    let start = y.start_of(block.rows.0 * columns + block.columns.0);
    // SAFETY: the factors lie inside `x` and `w`, the result inside `y` (the caller has checked
    // all lengths against `size`), and no other block of this call writes this one's elements.
    unsafe { add_product_on(isa, (rows, depth, width), left, right, start, columns, true) };
}

/// A matrix in memory: where it starts, and how far rows and columns lie apart.
#[derive(Clone, Copy)]
pub(crate) struct Matrix {
    pub(crate) start: *const f32,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

/// `y = x · w`, or `y += x · w` if `add`.
///
/// # Safety
/// Sizes and strides must stay inside the memory behind the pointers, and nobody else may use
/// the elements of `y` meanwhile.
unsafe fn add_product(
    (m, k, n): (usize, usize, usize),
    x: Matrix,
    w: Matrix,
    y: *mut f32,
    y_stride: usize,
    add: bool,
) {
    // SAFETY: as the caller promises. Strides of slices fit `isize`.
    unsafe {
        // The kernels of `gemm` write columns, and `y` is stored by rows: so yᵀ = wᵀ xᵀ.
        gemm_f32::gemm::f32::get_gemm_fn()(
            n,
            m,
            k,
            y,
            y_stride as isize,
            1,
            add,
            w.start,
            w.row_stride as isize,
            w.column_stride as isize,
            x.start,
            x.row_stride as isize,
            x.column_stride as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm_common::Parallelism::None,
        );
    }
}

/// The same by the tiles of [`tile`] where the factors stand as they read them.
///
/// # Safety
/// As for [`add_product`].
pub(crate) unsafe fn add_product_on(
    isa: Isa,
    (m, k, n): (usize, usize, usize),
    x: Matrix,
    w: Matrix,
    y: *mut f32,
    y_stride: usize,
    add: bool,
) {
    // Rows that lie far apart do not stay in the cache together; `gemm` packs them.
    let whole = n.is_multiple_of(16) && w.column_stride == 1 && w.row_stride <= NEAR;
    let neighbours = x.row_stride == 1 || x.column_stride == 1;
    if !whole || !neighbours || m * n * k == 0 {
        // SAFETY: as the caller promises.
        return unsafe { add_product((m, k, n), x, w, y, y_stride, add) };
    }
    let len = |matrix: &Matrix, rows: usize, columns: usize| {
        (rows - 1) * matrix.row_stride + (columns - 1) * matrix.column_stride + 1
    };
    // SAFETY: the last elements lie inside, as the caller promises, who has `y` alone.
    unsafe {
        let left = Left {
            values: std::slice::from_raw_parts(x.start, len(&x, m, k)),
            rows: m,
            depth: k,
            row_stride: x.row_stride,
            depth_stride: x.column_stride,
        };
        let values = std::slice::from_raw_parts(w.start, len(&w, k, n));
        let right = Right { values, stride: w.row_stride, columns: n, panels: None };
        let values = DisjointMut::from_raw(y, (m - 1) * y_stride + n);
        let out = Out { values, start: 0, stride: y_stride, relu: false };
        let start = if add { Start::Output } else { Start::Zero };
        tile::multiply(isa, left, right, start, out);
    }
}

/// A product with at most [`FEW_ROWS`] rows, for a range of columns.
struct FewRows<'a> {
    size: Size,
    x: &'a [f32],
    w: &'a [f32],
    bias: Option<&'a [f32]>,
    columns: (usize, usize),
    y: DisjointMut<'a, f32>,
}

impl Kernel for FewRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.size.rows {
            1 => self.rows::<S, 1>(simd),
            2 => self.rows::<S, 2>(simd),
            3 => self.rows::<S, 3>(simd),
            _ => self.rows::<S, 4>(simd),
        }
    }
}

impl FewRows<'_> {
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(self, simd: S) {
        let (mut column, end) = self.columns;
        while column + 4 * S::LANES <= end {
            self.tile::<S, R, 4>(simd, column);
            column += 4 * S::LANES;
        }
        while column + S::LANES <= end {
            self.tile::<S, R, 1>(simd, column);
            column += S::LANES;
        }
        for column in column..end {
            for row in 0..R {
                let mut sum = self.bias.map_or(0.0, |bias| bias[column]);
                for k in 0..self.size.depth {
                    let weight = self.w[k * self.size.columns + column];
                    sum = S::fma(self.x[row * self.size.depth + k], weight, sum);
                }
                // SAFETY: this column belongs to this block, and no other part of it is alive.
                let out = unsafe {
                    self.y.slice(
                        row * self.size.columns + column..row * self.size.columns + column + 1,
                    )
                };
                out[0] = sum;
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize>(&self, simd: S, column: usize) {
        let Size { depth, columns, .. } = self.size;
        let mut sums = [[simd.splat(0.0); V]; R];
        if let Some(bias) = self.bias {
            for sums in &mut sums {
                for v in 0..V {
                    sums[v] = simd.load(&bias[column + v * S::LANES..]);
                }
            }
        }
        let mut left = [self.x; R];
        for r in 0..R {
            left[r] = &self.x[r * depth..(r + 1) * depth];
        }
        for k in 0..depth {
            let weights = &self.w[k * columns + column..][..V * S::LANES];
            let mut right = [simd.splat(0.0); V];
            for v in 0..V {
                right[v] = simd.load(&weights[v * S::LANES..]);
            }
            for r in 0..R {
                let value = simd.splat(left[r][k]);
                for v in 0..V {
                    sums[r][v] = simd.mul_add(value, right[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            let start = r * columns + column;
            // SAFETY: these columns belong to this block, and no other part of it is alive.
            let out = unsafe { self.y.slice(start..start + V * S::LANES) };
            for v in 0..V {
                simd.store(sums[r][v], &mut out[v * S::LANES..]);
            }
        }
    }
}

/// A batch of products `y[b] = x[b] · w[b]`, each factor with its own strides, in elements; a
/// batch stride of 0 uses one factor for all. The result is row-major, `[batch, rows, columns]`.
#[derive(Clone, Copy, Debug)]
pub struct Batched<'a> {
    /// How many products.
    pub batch: usize,
    /// The sizes of each.
    pub size: Size,
    /// The left factors.
    pub x: &'a [f32],
    /// From one to the next: batch, row, column of `x`.
    pub x_strides: [usize; 3],
    /// The right factors.
    pub w: &'a [f32],
    /// From one to the next: batch, row, column of `w`.
    pub w_strides: [usize; 3],
}

/// Computes a batch of products, one block for each.
///
/// # Panics
/// If strides lead out of a slice, or `y` is not `[batch, rows, columns]`.
pub fn batched(cpu: Cpu<'_>, products: Batched<'_>, y: &mut [f32]) {
    let Batched { batch, size, x, x_strides, w, w_strides } = products;
    let Size { rows, depth, columns } = size;
    assert_len("y", y.len(), &[batch, rows, columns]);
    if y.is_empty() {
        return;
    }
    if depth == 0 {
        y.fill(0.0);
        return;
    }
    assert_inside("x", x.len(), [batch, rows, depth], x_strides);
    assert_inside("w", w.len(), [batch, depth, columns], w_strides);
    cpu.pool.for_each_chunk(y, rows * columns, &|index, y| {
        let left = Matrix {
            start: x[index * x_strides[0]..].as_ptr(),
            row_stride: x_strides[1],
            column_stride: x_strides[2],
        };
        let right = Matrix {
            start: w[index * w_strides[0]..].as_ptr(),
            row_stride: w_strides[1],
            column_stride: w_strides[2],
        };
        // SAFETY: the last element of each factor was checked above, and `y` is this block's own.
        unsafe {
            let size = (rows, depth, columns);
            add_product_on(cpu.isa, size, left, right, y.as_mut_ptr(), columns, false);
        }
    });
}

pub(super) fn assert_inside(name: &str, len: usize, sizes: [usize; 3], strides: [usize; 3]) {
    let last = sizes
        .iter()
        .zip(strides)
        .try_fold(0usize, |last, (size, stride)| last.checked_add((size - 1).checked_mul(stride)?));
    assert!(
        last.is_some_and(|last| last < len),
        "{name} has {len} values, sizes {sizes:?} with strides {strides:?} lead out of it"
    );
}
