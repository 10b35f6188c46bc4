//! Gradients of the recurrent kernel and bias: sums over all rows and steps.
//!
//! The rows are cut into parts; each part's product is computed by itself, and the parts are added
//! in their order.

use super::{Layout, Reset, Steps, StepsCell, multiply};
use crate::Cpu;
use crate::matmul::{Batched, Size, batched};

/// Rows that are worth a part of their own.
const PART_ROWS: usize = 512;
/// Parts of the largest problem.
const MAX_PARTS: usize = 8;
/// Columns of the bias that are summed together.
const BIAS_COLUMNS: usize = 64;
/// Rows whose sum is taken before it is added to the others.
const BIAS_ROWS: usize = 128;

/// How many parts of equal size the rows give, and the size; a few rows may be left.
fn cut(rows: usize) -> (usize, usize) {
    let parts = (rows / PART_ROWS).clamp(1, MAX_PARTS);
    (parts, rows / parts)
}

/// Whether products have another left factor than the saved h.
fn needs_left<C: StepsCell>(cell: C, layout: &Layout) -> bool {
    layout.dropout > 0 || cell.reset() == Reset::Before
}

/// Values of memory that [`RecurrentGradients::write`] needs.
pub(super) fn workspace_len<C: StepsCell>(cell: C, layout: &Layout) -> usize {
    let left = if needs_left(cell, layout) { layout.set() } else { 0 };
    let (parts, _) = cut(layout.batch * layout.time);
    // One more for the rows that are left.
    left + (parts + 1) * layout.units * layout.columns
}

/// What the gradients of the recurrent weights follow from.
pub(super) struct RecurrentGradients<'a> {
    pub layout: &'a Layout,
    pub steps: &'a Steps<'a>,
    pub gates: &'a [f32],
    pub saved_h: &'a [f32],
    pub d_sums: &'a [f32],
    pub d_inner: &'a [f32],
    pub workspace: &'a mut [f32],
}

impl RecurrentGradients<'_> {
    /// `dR = leftᵀ d` with the left factors and the gradients of the sums of all rows and steps;
    /// the bias's gradient is the sum of the latter.
    pub fn write<C: StepsCell>(
        mut self,
        cpu: Cpu<'_>,
        cell: C,
        d_kernel: Option<&mut [f32]>,
        d_bias: Option<&mut [f32]>,
    ) {
        if let Some(d_bias) = d_bias {
            let Layout { units, columns, .. } = *self.layout;
            let (outer, inner) = d_bias.split_at_mut(columns - units);
            sum_rows(cpu, self.d_sums, columns, outer);
            sum_rows(cpu, self.d_inner, units, inner);
        }
        let Some(d_kernel) = d_kernel else { return };
        if self.layout.set() == 0 {
            return d_kernel.fill(0.0);
        }
        let workspace = std::mem::take(&mut self.workspace);
        let left_len = if needs_left(cell, self.layout) { self.layout.set() } else { 0 };
        let (left, partial) = workspace.split_at_mut(left_len);
        for group in self.layout.back.all() {
            let is_last = group.first + group.count == C::GATES;
            let resets = cell.reset() == Reset::Before && is_last;
            let filled = self.layout.dropout > 0 || resets;
            if filled {
                self.fill_left(cpu, group.first, resets, left);
            }
            let left = if filled { &*left } else { self.saved_h };
            let Layout { units, columns, .. } = *self.layout;
            let right = if cell.reset() == Reset::After && is_last {
                (self.d_inner, units)
            } else {
                (&self.d_sums[group.first * units..], columns)
            };
            let place = (group.first * units, group.count * units);
            self.add_up(cpu, left, right, place, partial, d_kernel);
        }
    }

    /// h times its dropout factors for a gate, and the reset gate if it acts on it.
    fn fill_left(&self, cpu: Cpu<'_>, gate: usize, resets: bool, left: &mut [f32]) {
        let Layout { batch, time, units, columns, dropout, .. } = *self.layout;
        let set = if dropout > 1 { gate } else { 0 };
        let factors = self.steps.recurrent_dropout.map(|all| &all[set * batch * units..]);
        cpu.pool.for_each_chunk(left, time * units, &|row, left| {
            let h = &self.saved_h[row * time * units..][..left.len()];
            for (t, (left, h)) in
                left.chunks_exact_mut(units).zip(h.chunks_exact(units)).enumerate()
            {
                if resets {
                    let kept = &self.gates[(row * time + t) * columns + units..][..units];
                    left.copy_from_slice(kept);
                    let activation = self.steps.recurrent_activation;
                    if activation.needs_input() {
                        activation.apply_rows(cpu.isa, left, units);
                    }
                    multiply(left, h);
                } else {
                    left.copy_from_slice(h);
                }
                if let Some(factors) = factors {
                    multiply(left, &factors[row * units..]);
                }
            }
        });
    }

    /// Writes one group's columns, `(first, width)`, of the kernel's gradient.
    fn add_up(
        &self,
        cpu: Cpu<'_>,
        left: &[f32],
        (right, stride): (&[f32], usize),
        (first, width): (usize, usize),
        partial: &mut [f32],
        d_kernel: &mut [f32],
    ) {
        let Layout { batch, time, units, columns, .. } = *self.layout;
        let rows = batch * time;
        let (parts, part_rows) = cut(rows);
        let one = units * width;
        let (partial, _) = partial.split_at_mut((parts + 1) * one);
        let (whole, rest) = partial.split_at_mut(parts * one);
        let product = Batched {
            batch: parts,
            size: Size { rows: units, depth: part_rows, columns: width },
            x: left,
            x_strides: [part_rows * units, 1, units],
            w: right,
            w_strides: [part_rows * stride, stride, 1],
        };
        batched(cpu, product, whole);
        let done = parts * part_rows;
        let last = Batched {
            batch: 1,
            size: Size { depth: rows - done, ..product.size },
            x: &left[done * units..],
            w: right.get(done * stride..).unwrap_or_default(),
            ..product
        };
        batched(cpu, last, rest);
        let partial = &*partial;
        cpu.pool.for_each_chunk(d_kernel, columns, &|row, d_kernel| {
            let out = &mut d_kernel[first..][..width];
            out.fill(0.0);
            for part in partial.chunks_exact(one) {
                for (out, &value) in out.iter_mut().zip(&part[row * width..]) {
                    *out += value;
                }
            }
        });
    }
}

/// Sums the first columns of rows of `stride` values.
fn sum_rows(cpu: Cpu<'_>, rows: &[f32], stride: usize, sums: &mut [f32]) {
    if stride == 0 {
        return;
    }
    cpu.pool.for_each_chunk(sums, BIAS_COLUMNS, &|index, sums| {
        sums.fill(0.0);
        for rows in rows.chunks(BIAS_ROWS * stride) {
            let mut some = [0.0; BIAS_COLUMNS];
            for row in rows.chunks_exact(stride) {
                for (sum, &value) in some.iter_mut().zip(&row[index * BIAS_COLUMNS..]) {
                    *sum += value;
                }
            }
            for (sum, &value) in sums.iter_mut().zip(&some) {
                *sum += value;
            }
        }
    });
}
