//! Products with a right factor that is known beforehand, and so packed once.

use crate::activation::Activation;
use crate::aligned::Aligned;
use crate::recurrent::assert_len;
use crate::tile::{self, Left, Out, ROWS, Right, Start, WIDTH};
use crate::{Cpu, DisjointMut};
use std::ops::Range;

/// Multiplications of a block, roughly: what is worth a thread's attention.
const BLOCK: usize = 1 << 18;
/// The most rows of a block: their part of the left factor stays in the cache.
const BLOCK_ROWS: usize = 8 * ROWS;
/// Blocks that a product is cut into where they stay large enough, so that threads end together.
const BLOCKS: usize = 8;

/// A matrix `[depth, columns]` in panels of columns, and a bias for each column.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    depth: usize,
    columns: usize,
    panels: Aligned,
    bias: Option<Aligned>,
}

impl PackedMatrix {
    /// Packs `w`, `[depth, columns]` (a Keras kernel as it is), and `bias`, `[columns]`.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn new(depth: usize, columns: usize, w: &[f32], bias: Option<&[f32]>) -> PackedMatrix {
        assert_len("w", w.len(), &[depth, columns]);
        let whole = columns.next_multiple_of(WIDTH);
        let mut panels = Aligned::zeros(depth * whole);
        for (index, panel) in panels.chunks_exact_mut((depth * WIDTH).max(1)).enumerate() {
            let left = index * WIDTH;
            let width = WIDTH.min(columns - left);
            for (k, line) in panel.chunks_exact_mut(WIDTH).enumerate() {
                line[..width].copy_from_slice(&w[k * columns + left..][..width]);
            }
        }
        let bias = bias.map(|bias| {
            assert_len("bias", bias.len(), &[columns]);
            let mut padded = Aligned::zeros(whole);
            padded[..columns].copy_from_slice(bias);
            padded
        });
        PackedMatrix { depth, columns, panels, bias }
    }

    /// Rows of the matrix.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the matrix.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// `y = act(x · w + bias)`: `x` `[rows, depth]`, `y` `[rows, columns]`. The activation may work on
/// rows.
///
/// # Panics
/// If a slice has another length, or the activation is GLU, whose result has another width.
pub fn matmul_packed(
    cpu: Cpu<'_>,
    rows: usize,
    x: &[f32],
    w: &PackedMatrix,
    activation: Activation,
    y: &mut [f32],
) {
    assert_len("x", x.len(), &[rows, w.depth]);
    assert_len("y", y.len(), &[rows, w.columns]);
    assert!(activation != Activation::Glu, "glu halves its rows: apply it to the result");
    if y.is_empty() {
        return;
    }
    let cut = Cut::new(rows, w.depth, w.columns);
    let out = DisjointMut::new(y);
    cpu.pool.for_each(cut.down * cut.across, &|index| {
        let (down, across) = (index / cut.across, index % cut.across);
        let rows = down * cut.rows..rows.min((down + 1) * cut.rows);
        let columns = across * cut.columns..w.columns.min((across + 1) * cut.columns);
        let relu = activation == Activation::Relu;
        let left = Left {
            values: &x[rows.start * w.depth..rows.end * w.depth],
            rows: rows.len(),
            depth: w.depth,
            row_stride: w.depth,
            depth_stride: 1,
        };
        let panel = w.depth * WIDTH;
        let right = Right {
            values: &w.panels[columns.start / WIDTH * panel..],
            stride: WIDTH,
            columns: columns.len(),
            panels: Some(panel),
        };
        let bias = w.bias.as_deref().map(|bias| &bias[columns.start..]);
        let start = bias.map_or(Start::Zero, Start::Bias);
        let at = rows.start * w.columns + columns.start;
        let to = Out { values: out, start: at, stride: w.columns, relu };
        // SAFETY: these rows and columns belong to this block.
        unsafe { tile::multiply(cpu.isa, left, right, start, to) };
        if relu || activation == Activation::Linear || !activation.is_elementwise() {
            return;
        }
        let apply = |range: Range<usize>| {
            // SAFETY: these rows and columns belong to this block, whose product is complete.
            activation.apply(cpu.isa, unsafe { out.slice(range) });
        };
        match columns.len() == w.columns {
            true => apply(rows.start * w.columns..rows.end * w.columns),
            false => rows.clone().for_each(|row| {
                apply(row * w.columns + columns.start..row * w.columns + columns.end);
            }),
        }
    });
    if !activation.is_elementwise() {
        let chunk = (BLOCK / w.columns / 16).max(1) * w.columns;
        cpu.pool.for_each_chunk(y, chunk, &|_, rows| {
            activation.apply_rows(cpu.isa, rows, w.columns);
        });
    }
}

/// How a product is cut into blocks.
#[derive(Clone, Copy, Debug)]
struct Cut {
    down: usize,
    rows: usize,
    across: usize,
    columns: usize,
}

impl Cut {
    fn new(rows: usize, depth: usize, columns: usize) -> Cut {
        let row = depth.max(1) * columns.next_multiple_of(WIDTH);
        let panels = columns.div_ceil(WIDTH);
        if rows * row < 2 * BLOCK {
            return Cut { down: 1, rows, across: 1, columns: panels * WIDTH };
        }
        let some = rows.div_ceil(BLOCKS).clamp(ROWS, BLOCK_ROWS);
        let down = rows.div_ceil(some.max(BLOCK / row));
        let rows = rows.div_ceil(down);
        // Where there are few rows, blocks of panels.
        let panel = rows * depth.max(1) * WIDTH;
        let across = if down < BLOCKS / 2 { BLOCKS.min(panels * panel / BLOCK).max(1) } else { 1 };
        let each = panels.div_ceil(across);
        Cut { down, rows, across: panels.div_ceil(each), columns: each * WIDTH }
    }
}
