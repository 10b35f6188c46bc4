//! A tensor several times over, as a broadcast along new axes of size 1.

use seqfuse_kernels::layout::{self, MAX_RANK};
use seqfuse_kernels::reduce::{self, Extent};

use super::layout::{Moved, by_size};
use super::lowering::{CpuOp, Kernel, Lowering, Target, call};
use super::{Buffer, Env};
use crate::ops::{Tile, TileGradient};
use crate::plan::Operand;
use crate::runtime::RunError;

impl CpuOp for Tile {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (x, y) = (lowering.input(0)?, lowering.result()?);
        let (from, to) = split(&x.shape, &self.repeats);
        if to.len() > MAX_RANK {
            return Err(lowering.refuse(format!(
                "at most {MAX_RANK} dimensions are possible, those that are repeated twice over"
            )));
        }
        call(y, move |env, out| {
            by_size!(x, tile(env, &x, &from, &to, out, y));
            Ok(())
        })
    }
}

/// The shapes to broadcast from and to: an axis in front of each that is repeated, and neighbours
/// that are both kept or both repeated as one.
fn split(shape: &[usize], repeats: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut axes: Vec<(usize, usize)> = Vec::new();
    let mut push = |from: usize, to: usize| match axes.last_mut() {
        _ if (from, to) == (1, 1) => {}
        Some((a, b)) if (*a == *b) == (from == to) => (*a, *b) = (*a * from, *b * to),
        _ => axes.push((from, to)),
    };
    for (&size, &repeat) in shape.iter().zip(repeats) {
        push(1, repeat);
        push(size, size);
    }
    axes.into_iter().unzip()
}

fn tile<T: Moved>(
    env: &Env<'_>,
    x: &Operand,
    from: &[usize],
    to: &[usize],
    out: &mut Buffer,
    y: Target,
) {
    layout::broadcast_to(env.cpu, env.get::<T>(x), from, to, out.get_mut::<T>(y.len));
}

impl CpuOp for TileGradient {
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Box<dyn Kernel>, RunError> {
        let (dy, target) = (lowering.input(0)?, lowering.result()?);
        let (front, behind) = dy.shape.split_at(self.axis);
        let inner: usize = behind.iter().product::<usize>() / self.repeats;
        let extent = Extent { outer: front.iter().product(), axis: self.repeats, inner };
        call(target, move |env, out| {
            reduce::sum(env.cpu, env.get::<f32>(&dy), extent, out.get_mut(target.len));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn axes_that_are_not_repeated_merge_with_the_one_in_front() {
        assert_eq!(split(&[2, 3, 4], &[1, 2, 1]), (vec![2, 1, 12], vec![2, 2, 12]));
        assert_eq!(split(&[2, 3], &[1, 1]), (vec![6], vec![6]));
        assert_eq!(split(&[2, 3], &[3, 0]), (vec![1, 2, 1, 3], vec![3, 2, 0, 3]));
        assert_eq!(split(&[1, 1, 4], &[2, 3, 1]), (vec![1, 4], vec![6, 4]));
        assert_eq!(split(&[0, 2], &[2, 1]), (vec![1, 0], vec![2, 0]));
        assert_eq!(split(&[], &[]), (vec![], vec![]));
    }
}
