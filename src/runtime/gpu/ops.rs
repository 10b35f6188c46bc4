//! Operators without recurrence: embedding, matrix product, activation, arithmetic, copy.

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

/// The operator of a [`Binary`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum BinaryOp {
    /// a + b
    Add = 0,
    /// a - b
    Subtract = 1,
    /// a b
    Multiply = 2,
    /// a / b
    Divide = 3,
    /// The larger.
    Maximum = 4,
    /// The smaller.
    Minimum = 5,
    /// a = b, giving 0 or 1.
    Equal = 6,
    /// Not a = b.
    NotEqual = 7,
    /// a < b
    Less = 8,
    /// a <= b
    LessEqual = 9,
    /// a > b
    Greater = 10,
    /// a >= b
    GreaterEqual = 11,
    /// Both are not 0.
    And = 12,
    /// One is not 0.
    Or = 13,
    /// Exactly one is not 0.
    Xor = 14,
}

/// Element-wise arithmetic, comparison or logic of two operands over a shape; a stride of 0 broadcasts.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Whether a comparison is of i32 and not of f32. Arithmetic is of f32, logic of words.
    pub integers: bool,
    /// The result's shape, leading dimensions 1.
    pub shape: [u32; 4],
    /// The left operand, in the arena.
    pub a: u32,
    /// Its strides in words.
    pub a_strides: [u32; 4],
    /// The right operand.
    pub b: BMatrix,
    /// Its strides in words.
    pub b_strides: [u32; 4],
    /// The result, contiguous.
    pub output: u32,
}

/// A copy of words between strided views.
#[derive(Clone, Debug)]
pub struct StridedCopy {
    /// The shape, leading dimensions 1.
    pub shape: [u32; 4],
    /// The word of the first element read.
    pub input: u32,
    /// Strides in words; 0 repeats, a negative one runs backwards.
    pub input_strides: [i32; 4],
    /// The word of the first element written.
    pub output: u32,
    /// Strides in words.
    pub output_strides: [i32; 4],
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
        let key = PipelineKey::new(Kernel::Embedding);
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
        let grid = [op.columns.div_ceil(64), op.rows.div_ceil(tile), op.batch];
        let grid = self.check_grid(label, grid)?;
        let [key, other] = [kernel, other].map(|kernel| {
            PipelineKey::new(kernel)
                .with_activation("KIND", "ALPHA", op.activation)
                .with("B_IN_ARENA", in_arena)
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

    /// Records a softmax over the last axis of `[rows, width]`; `output` may be `input`.
    ///
    /// # Errors
    /// If sizes are beyond what the device counts, or the kernel cannot be compiled.
    pub fn softmax(
        &mut self,
        label: &str,
        rows: u32,
        width: u32,
        input: u32,
        output: u32,
    ) -> Result<(), GpuError> {
        let count = Self::count(label, &[rows, width])?;
        self.touch(label, input, count.into())?;
        self.touch(label, output, count.into())?;
        let grid = self.flat_grid(label, if width == 0 { 0 } else { rows })?;
        let parameters = vec![rows, width, input, output, grid[0]];
        self.call(label, &PipelineKey::new(Kernel::Softmax), 0, parameters, grid)
    }

    /// Records a [`Binary`].
    ///
    /// # Errors
    /// If sizes are beyond what the device counts, or the kernel cannot be compiled.
    pub fn binary(&mut self, label: &str, op: &Binary) -> Result<(), GpuError> {
        let count = Self::count(label, &op.shape)?;
        self.touch(label, op.a, extent(&op.shape, &op.a_strides))?;
        self.touch(label, op.output, count.into())?;
        let (b, buffer, in_weights) = match op.b {
            BMatrix::Weight(weight) => (weight.offset, weight.buffer, 1),
            BMatrix::Arena(offset) => {
                self.touch(label, offset, extent(&op.shape, &op.b_strides))?;
                (offset, 0, 0)
            }
        };
        let grid = self.flat_grid(label, count.div_ceil(FLAT_THREADS))?;
        let key = PipelineKey::new(Kernel::Binary)
            .with("OP", op.op as u32)
            .with("INTEGERS", op.integers.into())
            .with("B_IN_WEIGHTS", in_weights);
        let mut parameters = op.shape.to_vec();
        parameters.extend(op.a_strides);
        parameters.extend(op.b_strides);
        parameters.extend([count, op.a, b, op.output, grid[0]]);
        self.call(label, &key, buffer, parameters, grid)
    }

    /// Records a [`StridedCopy`].
    ///
    /// # Errors
    /// If a view begins before the arena, sizes are beyond what the device counts, or the kernel
    /// cannot be compiled.
    pub fn copy(&mut self, label: &str, op: &StridedCopy) -> Result<(), GpuError> {
        let count = Self::count(label, &op.shape)?;
        if count == 0 {
            return Ok(());
        }
        let views = [(op.input, &op.input_strides), (op.output, &op.output_strides)];
        for (offset, strides) in views {
            let reach = |negative: bool| -> i64 {
                let of = |(&size, &stride): (&u32, &i32)| i64::from(size - 1) * i64::from(stride);
                let reaches = op.shape.iter().zip(strides).map(of);
                reaches.filter(|reach| (*reach < 0) == negative).sum()
            };
            if i64::from(offset) + reach(true) < 0 {
                return Err(GpuError::arguments(label, "a view begins before the arena"));
            }
            self.touch(label, offset, reach(false) as u64 + 1)?;
        }
        let grid = self.flat_grid(label, count.div_ceil(FLAT_THREADS))?;
        let mut parameters = op.shape.to_vec();
        parameters.extend(op.input_strides.map(|stride| stride as u32));
        parameters.extend(op.output_strides.map(|stride| stride as u32));
        parameters.extend([count, op.input, op.output, grid[0]]);
        self.call(label, &PipelineKey::new(Kernel::Copy), 0, parameters, grid)
    }
}
