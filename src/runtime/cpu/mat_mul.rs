//! Products of computed matrices.

use seqfuse_kernels::matmul::{self, Batched, Size};

use super::lowering::{CpuOp, Kernel, Lowering, call};
use crate::ops::{Activation, MatMul};
use crate::runtime::RunError;

impl CpuOp for MatMul {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (a, b, y) = (lowering.input(0)?, lowering.input(1)?, lowering.result()?);
        let ([left @ .., rows, depth], [right @ .., _, columns]) = (&a.shape[..], &b.shape[..])
        else {
            return Err(lowering.refuse("its inputs are no matrices".to_owned()));
        };
        let mut size = Size { rows: *rows, depth: *depth, columns: *columns };
        let shared = right.iter().all(|&n| n == 1) && left.len() >= right.len();
        if shared {
            // One right factor for all: the leading axes are more rows.
            size.rows *= left.iter().product::<usize>();
        }
        let batches = if shared { Batches::one() } else { Batches::new(left, right, size) };
        let (batch, reference) = (batches.count, lowering.reference);
        let (from_a, from_b) = batches.strides;
        call(y, move |env, out| {
            let (x, w) = (env.get::<f32>(&a), env.get::<f32>(&b));
            let out = out.get_mut::<f32>(y.len);
            if out.is_empty() {
                return Ok(());
            }
            if shared && !reference {
                matmul::matmul(env.cpu, size, x, w, None, Activation::Linear, out);
                return Ok(());
            }
            let Size { rows, depth, columns } = size;
            let blocks = out.chunks_exact_mut(batch * rows * columns);
            for (out, &(at_a, at_b)) in blocks.zip(&batches.starts) {
                if reference {
                    let each = out.chunks_exact_mut(rows * columns).enumerate();
                    for (index, out) in each {
                        let x = &x[at_a + index * from_a..][..rows * depth];
                        let w = &w[at_b + index * from_b..][..depth * columns];
                        let linear = Activation::Linear;
                        out.copy_from_slice(&matmul::reference::matmul(size, x, w, None, linear));
                    }
                    continue;
                }
                let products = Batched {
                    batch,
                    size,
                    x: &x[at_a..],
                    x_strides: [from_a, depth, 1],
                    w: &w[at_b..],
                    w_strides: [from_b, columns, 1],
                };
                matmul::batched(env.cpu, products, out);
            }
            Ok(())
        })
    }
}

/// The products as runs of equally spaced factors.
#[derive(Debug, PartialEq)]
struct Batches {
    /// The products of each run.
    count: usize,
    /// From one left factor, and one right factor, of a run to the next.
    strides: (usize, usize),
    /// Where the factors of each run begin.
    starts: Vec<(usize, usize)>,
}

impl Batches {
    fn one() -> Batches {
        Batches { count: 1, strides: (0, 0), starts: vec![(0, 0)] }
    }

    /// The runs for factors with the leading shapes `left` and `right`, which broadcast.
    fn new(left: &[usize], right: &[usize], size: Size) -> Batches {
        let rank = left.len().max(right.len());
        let (mut a, mut b) = (size.rows * size.depth, size.depth * size.columns);
        // Axes from the innermost on: size, and both strides, 0 where the factor is repeated.
        let mut axes: Vec<(usize, usize, usize)> = Vec::new();
        for back in 1..=rank {
            let at = |shape: &[usize]| shape.len().checked_sub(back).map_or(1, |axis| shape[axis]);
            let (m, n) = (at(left), at(right));
            let count = if m == 1 { n } else { m };
            let (stride_a, stride_b) = (if m == 1 { 0 } else { a }, if n == 1 { 0 } else { b });
            (a, b) = (a * m, b * n);
            match axes.last_mut() {
                _ if count == 1 => {}
                Some((inner, x, w)) if stride_a == *inner * *x && stride_b == *inner * *w => {
                    *inner *= count;
                }
                _ => axes.push((count, stride_a, stride_b)),
            }
        }
        let Some((&(count, x, w), outer)) = axes.split_first() else { return Batches::one() };
        let mut starts = vec![(0, 0)];
        for &(size, x, w) in outer {
            let shift = |i: usize| starts.iter().map(move |&(a, b)| (a + i * x, b + i * w));
            starts = (0..size).flat_map(shift).collect();
        }
        Batches { count, strides: (x, w), starts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_axes_begin_new_runs() {
        let size = Size { rows: 2, depth: 3, columns: 5 };
        let runs = |left: &[usize], right: &[usize]| {
            let Batches { count, strides, starts } = Batches::new(left, right, size);
            (count, strides, starts)
        };
        assert_eq!(runs(&[2, 4], &[2, 4]), (8, (6, 15), vec![(0, 0)]));
        assert_eq!(runs(&[4], &[2, 4]), (4, (6, 15), vec![(0, 0), (0, 60)]));
        assert_eq!(runs(&[2, 1], &[3]), (3, (0, 15), vec![(0, 0), (6, 0)]));
        assert_eq!(runs(&[1], &[7, 1]), (7, (0, 15), vec![(0, 0)]));
        let crossed = vec![(0, 0), (0, 15), (18, 0), (18, 15)];
        assert_eq!(runs(&[2, 1, 3], &[2, 1]), (3, (6, 0), crossed));
        assert_eq!(runs(&[], &[]), (1, (0, 0), vec![(0, 0)]));
    }
}
