//! Products of computed matrices, whose leading dimensions broadcast.

use super::lowering::{GpuOp, Lowering};
use super::pointwise::{broadcast, merge};
use crate::graph::{Graph, Node};
use crate::ops::MatMul;
use crate::runtime::RunError;
use crate::runtime::gpu::{self, Activation, BMatrix, WeightRef};

/// Runs of products at most; each is a call.
const RUNS: usize = 1024;
/// Matrices of a run at most, a dimension of the grid.
const BATCH: usize = 65535;

impl GpuOp for MatMul {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (a, b, (output, y)) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let ([left @ .., rows, depth], [right @ .., _, columns]) = (&a.shape[..], &b.shape[..])
        else {
            return Err(lowering.refuse("its inputs are no matrices".to_owned()));
        };
        if y.len == 0 {
            return Ok(());
        }
        let (mut rows, mut leading) = (*rows, y.shape[..y.shape.len() - 2].to_vec());
        if right.iter().all(|&n| n == 1) && left.len() >= right.len() {
            // One right factor for all: the leading axes are more rows.
            rows *= left.iter().product::<usize>();
            leading.clear();
        }
        let sizes = [rows * depth, depth * columns, rows * columns];
        let own = |shape: &[usize], size: usize| -> Vec<usize> {
            broadcast(shape, &leading).iter().map(|stride| stride * size).collect()
        };
        let strides = match leading.is_empty() {
            true => vec![Vec::new(); 3],
            false => vec![own(left, sizes[0]), own(right, sizes[1]), own(&leading, sizes[2])],
        };
        let (mut shape, mut strides) = merge(&leading, strides);
        let batch = shape.pop().unwrap_or(1);
        let steps: Vec<usize> =
            strides.iter_mut().map(|strides| strides.pop().unwrap_or(0)).collect();
        let first = lowering.arena(0)?;
        let second = match lowering.is_fixed(1) {
            true => BMatrix::Weight(lowering.plain(&[1])?[0]),
            false => BMatrix::Arena(lowering.arena(1)?),
        };
        let runs: usize = shape.iter().product();
        let parts = batch.div_ceil(BATCH);
        if runs.saturating_mul(parts) > RUNS {
            return Err(lowering.refuse("its leading dimensions broadcast too unevenly".to_owned()));
        }
        let word = |value: usize| lowering.size(value);
        let (label, [rows, depth, columns]) =
            (lowering.label(), [word(rows)?, word(*depth)?, word(*columns)?]);
        let batch_strides = [word(steps[0])?, word(steps[1])?, word(steps[2])?];
        let mut calls = Vec::with_capacity(runs * parts);
        for run in 0..runs {
            for part in 0..parts {
                let start = part * BATCH;
                let at = |which: usize| -> usize {
                    let mut rest = run;
                    let mut words = start * steps[which];
                    for (&size, &stride) in shape.iter().zip(&strides[which]).rev() {
                        words += rest % size * stride;
                        rest /= size;
                    }
                    words
                };
                let shifted = |base: u32, which: usize| {
                    u32::try_from(base as usize + at(which))
                        .map_err(|_| lowering.refuse("it is above 32 bits".to_owned()))
                };
                calls.push(gpu::MatMul {
                    batch: word((batch - start).min(BATCH))?,
                    rows,
                    inner: depth,
                    columns,
                    a: shifted(first, 0)?,
                    b: match second {
                        BMatrix::Arena(base) => BMatrix::Arena(shifted(base, 1)?),
                        BMatrix::Weight(WeightRef { buffer, offset }) => {
                            BMatrix::Weight(WeightRef { buffer, offset: shifted(offset, 1)? })
                        }
                    },
                    bias: None,
                    c: shifted(output, 2)?,
                    strides: [depth, columns, columns],
                    batch_strides,
                    activation: Activation::LINEAR,
                });
            }
        }
        for call in &calls {
            lowering.recorder.matmul(label, call)?;
        }
        Ok(())
    }
}
