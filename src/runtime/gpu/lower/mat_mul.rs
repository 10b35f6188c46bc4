//! Products of computed matrices, whose leading dimensions broadcast.

use super::lowering::{GpuOp, Lowering};
use super::strides::{broadcast, merge};
use crate::graph::{Graph, Node};
use crate::ops::MatMul;
use crate::runtime::RunError;
use crate::runtime::gpu::{self, Activation, BMatrix, WeightRef};

/// Runs of products at most; each is a call.
const RUNS: usize = 1024;
/// Matrices of a run at most, a dimension of the grid.
const BATCH: usize = 65535;

/// The products as runs of equally spaced factors.
struct Runs {
    /// The sizes of the axes that count the runs.
    shape: Vec<usize>,
    /// Words from one run to the next, along each of them, of both factors and the product.
    strides: [Vec<usize>; 3],
    /// The products of a run.
    batch: usize,
    /// Words from one product of a run to the next.
    steps: [usize; 3],
}

impl Runs {
    /// For factors with the leading shapes `left` and `right`, which broadcast to `leading`; `sizes`
    /// are the words of a left factor, a right one and a product.
    fn new(left: &[usize], right: &[usize], leading: &[usize], sizes: [usize; 3]) -> Runs {
        let shapes = [left, right, leading].into_iter().zip(sizes);
        let strides = shapes.map(|(shape, size)| {
            broadcast(shape, leading).iter().map(|stride| stride * size).collect()
        });
        let (mut shape, merged) = merge(leading, strides.collect());
        let batch = shape.pop().unwrap_or(1);
        let mut strides: [Vec<usize>; 3] = Default::default();
        let mut steps = [0; 3];
        for ((own, step), merged) in strides.iter_mut().zip(&mut steps).zip(merged) {
            *own = merged;
            *step = own.pop().unwrap_or(0);
        }
        Runs { shape, strides, batch, steps }
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Words to product `first` of run `run`, in factor or product `which`.
    fn start(&self, run: usize, first: usize, which: usize) -> usize {
        let mut rest = run;
        let mut words = first * self.steps[which];
        for (&size, &stride) in self.shape.iter().zip(&self.strides[which]).rev() {
            words += rest % size * stride;
            rest /= size;
        }
        words
    }
}

impl GpuOp for MatMul {
    fn check(&self, _: &Node, _: &Graph) -> Result<(), String> {
        Ok(())
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (a, b, (_, y)) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let ([left @ .., rows, depth], [right @ .., _, columns]) = (&a.shape[..], &b.shape[..])
        else {
            return Err(lowering.refuse("its inputs are no matrices".to_owned()));
        };
        if y.len == 0 {
            return Ok(());
        }
        let (depth, columns) = (*depth, *columns);
        let shared = right.iter().all(|&n| n == 1) && left.len() >= right.len();
        let (rows, runs) = match shared {
            // One right factor for all: the leading axes are more rows.
            true => (rows * left.iter().product::<usize>(), Runs::new(&[], &[], &[], [0; 3])),
            false => {
                let sizes = [rows * depth, depth * columns, rows * columns];
                (*rows, Runs::new(left, right, &y.shape[..y.shape.len() - 2], sizes))
            }
        };
        record(lowering, &runs, [rows, depth, columns])
    }
}

/// Records the products, a call for each run, and for each part of one that has more than a grid.
fn record(
    lowering: &mut Lowering<'_>,
    runs: &Runs,
    [rows, depth, columns]: [usize; 3],
) -> Result<(), RunError> {
    let (a, (c, _)) = (lowering.arena(0)?, lowering.result()?);
    let parts = runs.batch.div_ceil(BATCH);
    let b = match lowering.is_fixed(1) {
        // Calls further on begin at a word.
        true if runs.count() == 1 && parts == 1 => BMatrix::Weight(lowering.kernel(&[1])?[0]),
        true => BMatrix::Weight(lowering.plain(&[1])?[0]),
        false => BMatrix::Arena(lowering.arena(1)?),
    };
    if runs.count().saturating_mul(parts) > RUNS {
        return Err(lowering.refuse("its leading dimensions broadcast too unevenly".to_owned()));
    }
    let [rows, inner, columns] =
        [lowering.size(rows)?, lowering.size(depth)?, lowering.size(columns)?];
    let [x, w, y] = runs.steps;
    let batch_strides = [lowering.size(x)?, lowering.size(w)?, lowering.size(y)?];
    for run in 0..runs.count() {
        for first in (0..runs.batch).step_by(BATCH) {
            let at = |base: u32, which: usize| {
                lowering.size(runs.start(run, first, which).saturating_add(base as usize))
            };
            let call = gpu::MatMul {
                batch: lowering.size((runs.batch - first).min(BATCH))?,
                rows,
                inner,
                columns,
                a: at(a, 0)?,
                b: match b {
                    BMatrix::Arena(base) => BMatrix::Arena(at(base, 1)?),
                    BMatrix::Weight(weight) => {
                        BMatrix::Weight(WeightRef { offset: at(weight.offset, 1)?, ..weight })
                    }
                },
                bias: None,
                c: at(c, 2)?,
                strides: [inner, columns, columns],
                batch_strides,
                activation: Activation::LINEAR,
            };
            let label = lowering.label();
            lowering.recorder.matmul(label, &call)?;
        }
    }
    Ok(())
}
