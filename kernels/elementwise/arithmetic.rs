//! Functions of two numbers.

use super::broadcast::{InPlace, Pairs, Walk};
use super::{Arithmetic, Number, Tensor, UndefinedArithmetic};
use crate::isa::{Kernel, Simd};
use crate::layout::element_count;
use crate::{Cpu, DisjointMut};

/// Elements of one block.
pub(super) const BLOCK: usize = 16 * 1024;

/// Writes `op(lhs, rhs)` to `out`, whose shape is that of both operands together.
///
/// # Errors
/// If integers are divided by 0 or raised to a negative power; nothing is written then.
///
/// # Panics
/// If the shapes do not broadcast, or a length does not fit its shape.
pub fn arithmetic<T: Number>(
    cpu: Cpu,
    op: Arithmetic,
    lhs: Tensor<T>,
    rhs: Tensor<T>,
    out: &mut [T],
) -> Result<(), UndefinedArithmetic> {
    let walk = Walk::new([lhs.shape, rhs.shape]);
    lhs.check();
    rhs.check();
    assert_eq!(out.len(), walk.len(), "{op:?}: the output's length");
    if out.is_empty() {
        return Ok(());
    }
    defined(op, rhs.values)?;
    for_each_block(cpu, out, |start, out| {
        let (lhs, rhs) = (lhs.values, rhs.values);
        cpu.isa.run(Binary { op, pairs: Pairs { walk: &walk, lhs, rhs, out, start } });
    });
    Ok(())
}

/// Replaces `lhs`, of shape `shape`, by `op(lhs, rhs)`.
///
/// # Errors
/// As [`arithmetic`].
///
/// # Panics
/// If `rhs` does not broadcast to `shape`, or a length does not fit its shape.
pub fn arithmetic_assign<T: Number>(
    cpu: Cpu,
    op: Arithmetic,
    lhs: &mut [T],
    shape: &[usize],
    rhs: Tensor<T>,
) -> Result<(), UndefinedArithmetic> {
    let walk = Walk::onto(rhs.shape, shape);
    rhs.check();
    assert_eq!(lhs.len(), element_count(shape), "{op:?}: the left operand's length");
    if lhs.is_empty() {
        return Ok(());
    }
    defined(op, rhs.values)?;
    for_each_block(cpu, lhs, |start, out| {
        cpu.isa.run(Assign { op, block: InPlace { walk: &walk, rhs: rhs.values, out, start } });
    });
    Ok(())
}

impl<T> Tensor<'_, T> {
    pub(super) fn check(&self) {
        let len = element_count(self.shape);
        assert_eq!(self.values.len(), len, "the length of a tensor of shape {:?}", self.shape);
    }
}

/// Calls `work` with the first index and the elements of each block of `out`.
pub(super) fn for_each_block<T: Send>(
    cpu: Cpu,
    out: &mut [T],
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let len = out.len();
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(len.div_ceil(BLOCK), &|block| {
        let start = block * BLOCK;
        // SAFETY: blocks are disjoint.
        work(start, unsafe { parts.slice(start..len.min(start + BLOCK)) });
    });
}

fn defined<T: Number>(op: Arithmetic, rhs: &[T]) -> Result<(), UndefinedArithmetic> {
    let bad = rhs.iter().enumerate().find_map(|(i, &b)| T::undefined(op, b).map(|b| (i, b)));
    match bad {
        Some((position, operand)) => Err(UndefinedArithmetic { op, position, operand }),
        None => Ok(()),
    }
}

struct Binary<'a, T> {
    op: Arithmetic,
    pairs: Pairs<'a, T, T, T>,
}

struct Assign<'a, T> {
    op: Arithmetic,
    block: InPlace<'a, T, T>,
}

macro_rules! each_op {
    ($op:expr, $block:expr) => {
        match $op {
            Arithmetic::Add => $block.apply(T::add),
            Arithmetic::Sub => $block.apply(T::sub),
            Arithmetic::Mul => $block.apply(T::mul),
            Arithmetic::Div => $block.apply(T::div),
            Arithmetic::Max => $block.apply(T::max),
            Arithmetic::Min => $block.apply(T::min),
            Arithmetic::Pow => $block.apply(T::pow),
            Arithmetic::FloorDiv => $block.apply(T::floor_div),
            Arithmetic::Mod => $block.apply(T::modulo),
            Arithmetic::Rem => $block.apply(T::rem),
        }
    };
}

impl<T: Number> Kernel for Binary<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        each_op!(self.op, self.pairs);
    }
}

impl<T: Number> Kernel for Assign<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        each_op!(self.op, self.block);
    }
}
