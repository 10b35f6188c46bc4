//! Operators without recurrence: embedding, matrix product, activation.

use super::activation::Activation;
use super::buffer::WeightRef;
use super::error::GpuError;
use super::pipeline::{Kernel, PipelineKey};
use super::recorder::{Check, CheckKind, NONE, Recorder};

/// Threads of the kernels that take an element a thread.
const FLAT_THREADS: u32 = 256;
/// Up to this many rows the kernel for few rows is the faster one.
const FEW_ROWS: u32 = 16;

/// Rows of a table by ids. All offsets are words of the arena.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// Number of ids, such as batch x time.
    pub count: u32,
    /// The table's columns.
    pub width: u32,
    /// The table's rows.
    pub vocabulary: u32,
    /// The table `[vocabulary, width]`.
    pub table: WeightRef,
    /// The ids, i32 `[count]`. They must stay as they are until the program's end: an error
    /// reads the id that was out of range from there.
    pub ids: u32,
    /// The rows, f32 `[count, width]`.
    pub output: u32,
    /// Where to write the mask `ids != 0`, u32 `[count]`, if it is asked for.
    pub mask: Option<u32>,
}

/// The right operand of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BMatrix {
    /// A weight.
    Weight(WeightRef),
    /// A value in the arena.
    Arena(u32),
}

/// `c = activation(a b + bias)` for each matrix of a batch. Strides count words from one row, or
/// from one matrix, to the next.
#[derive(Clone, Debug)]
pub struct MatMul {
    /// Matrices in the batch.
    pub batch: u32,
    /// Rows of `a`.
    pub rows: u32,
    /// Columns of `a`, rows of `b`.
    pub inner: u32,
    /// Columns of `b`.
    pub columns: u32,
    /// The left operand, in the arena.
    pub a: u32,
    /// The right operand.
    pub b: BMatrix,
    /// The bias `[columns]`; in the same buffer as `b` where that is a weight.
    pub bias: Option<WeightRef>,
    /// The result, in the arena; may not overlap `a` or `b`.
    pub c: u32,
    /// Row strides of `a`, `b` and `c`.
    pub strides: [u32; 3],
    /// Matrix strides of `a`, `b` and `c`.
    pub batch_strides: [u32; 3],
    /// Applied to the sum.
    pub activation: Activation,
}

impl MatMul {
    /// A dense layer over contiguous rows: `a` `[rows, inner]`, `b` `[inner, columns]`.
    pub fn dense(rows: u32, inner: u32, columns: u32, a: u32, b: WeightRef, c: u32) -> MatMul {
        MatMul {
            batch: 1,
            rows,
            inner,
            columns,
            a,
            b: BMatrix::Weight(b),
            bias: None,
            c,
            strides: [inner, columns, columns],
            batch_strides: [0; 3],
            activation: Activation::LINEAR,
        }
    }
}

/// Words from the first to the last of a view with these strides, plus one.
fn extent(shape: &[u32; 4], strides: &[u32; 4]) -> u64 {
    if shape.contains(&0) {
        return 0;
    }
    let reach = |(&size, &stride): (&u32, &u32)| u64::from(size - 1) * u64::from(stride);
    shape.iter().zip(strides).map(reach).sum::<u64>() + 1
}

impl Recorder<'_> {
    /// Records an [`Embedding`].
    ///
    /// # Errors
    /// If sizes are beyond what the device counts, or the kernel cannot be compiled. An id out
    /// of range is an error of the run: [`GpuError::IdOutOfRange`].
    pub fn embedding(&mut self, label: &str, op: &Embedding) -> Result<(), GpuError> {
        let elements = Self::count(label, &[op.count, op.width])?;
        Self::count(label, &[op.vocabulary, op.width])?;
        self.touch(label, op.ids, op.count.into())?;
        self.touch(label, op.output, elements.into())?;
        if let Some(mask) = op.mask {
            self.touch(label, mask, op.count.into())?;
        }
        let grid = self.flat_grid(label, elements.div_ceil(FLAT_THREADS))?;
        if grid.contains(&0) {
            return Ok(());
        }
        let status = self.calls.checks.len() as u32;
        let kind = CheckKind::Id { ids: op.ids, vocabulary: op.vocabulary };
        self.calls.checks.push(Check { label: label.to_owned(), kind });
        let parameters = vec![
            op.count,
            op.width,
            op.vocabulary,
            op.ids,
            op.table.offset,
            op.output,
            op.mask.unwrap_or(NONE),
            status,
            grid[0],
        ];
        let key = PipelineKey::new(Kernel::Embedding).with("HALF", op.table.half.into());
        self.call(label, &key, op.table.buffer, parameters, grid)
    }

    /// Records a [`MatMul`].
    ///
    /// # Errors
    /// If sizes are beyond what the device counts, the bias lies in another buffer than the
    /// kernel, or the kernel cannot be compiled.
    pub fn matmul(&mut self, label: &str, op: &MatMul) -> Result<(), GpuError> {
        let extent = |rows: u32, columns: u32, i: usize| {
            let shape = [1, op.batch, rows, columns];
            extent(&shape, &[0, op.batch_strides[i], op.strides[i], 1])
        };
        self.touch(label, op.a, extent(op.rows, op.inner, 0))?;
        self.touch(label, op.c, extent(op.rows, op.columns, 2))?;
        let half = matches!(op.b, BMatrix::Weight(WeightRef { half: true, .. }));
        let (b, buffer, in_arena) = match op.b {
            BMatrix::Weight(weight) => {
                if op.bias.is_some_and(|bias| bias.buffer != weight.buffer) {
                    let message = "the bias lies in another buffer than the kernel";
                    return Err(GpuError::arguments(label, message));
                }
                (weight.offset, weight.buffer, 0)
            }
            BMatrix::Arena(offset) => {
                self.touch(label, offset, extent(op.inner, op.columns, 1))?;
                (offset, op.bias.map_or(0, |bias| bias.buffer), 1)
            }
        };
        let (kernel, other, tile) = match op.rows {
            0..=FEW_ROWS => (Kernel::MatMulRows, Kernel::MatMul, 4),
            _ => (Kernel::MatMul, Kernel::MatMulRows, 64),
        };
        self.check_rounds(label, u64::from(op.inner) * 4)?;
        let grid = [op.columns.div_ceil(64), op.rows.div_ceil(tile), op.batch];
        let grid = self.check_grid(label, grid)?;
        let [key, other] = [kernel, other].map(|kernel| {
            PipelineKey::new(kernel)
                .with_activation("KIND", "ALPHA", op.activation)
                .with("B_IN_ARENA", in_arena)
                .with("B_HALF", half.into())
        });
        // The other is compiled too, so that no other number of rows has to wait for it.
        self.device.pipeline(&other)?;
        let mut parameters =
            vec![op.rows, op.inner, op.columns, op.a, b, op.bias.map_or(NONE, |bias| bias.offset)];
        parameters.push(op.c);
        parameters.extend(op.strides);
        parameters.extend(op.batch_strides);
        self.call(label, &key, buffer, parameters, grid)
    }

    /// Records an activation of `count` elements; `output` may be `input`.
    ///
    /// # Errors
    /// If sizes are beyond what the device counts, or the kernel cannot be compiled.
    pub fn activation(
        &mut self,
        label: &str,
        activation: Activation,
        count: u32,
        input: u32,
        output: u32,
    ) -> Result<(), GpuError> {
        self.touch(label, input, count.into())?;
        self.touch(label, output, count.into())?;
        let grid = self.flat_grid(label, count.div_ceil(FLAT_THREADS))?;
        let key = PipelineKey::new(Kernel::Activation).with_activation("KIND", "ALPHA", activation);
        self.call(label, &key, 0, vec![count, input, output, grid[0]], grid)
    }
}
