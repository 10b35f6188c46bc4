//! Functions of the bits of two integers.

use super::Tensor;
use super::arithmetic::for_each_block;
use super::broadcast::{Pairs, Walk};
use crate::Cpu;
use crate::isa::{Kernel, Simd};

/// A function of the bits of two integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitwise {
    /// Bits that both have.
    And,
    /// Bits that at least one has.
    Or,
    /// Bits that exactly one has.
    Xor,
    /// The bits of a moved up by b; none are left where b is their number or more, or negative.
    ShiftLeft,
    /// The bits of a moved down by b with zeros behind them, as of a number without sign.
    ShiftRight,
}

/// `i32` or `i64`.
pub trait Bits: Copy + Send + Sync {
    /// Bits that both have.
    fn and(a: Self, b: Self) -> Self;
    /// Bits that at least one has.
    fn or(a: Self, b: Self) -> Self;
    /// Bits that exactly one has.
    fn xor(a: Self, b: Self) -> Self;
    /// The bits of `a` moved up by `b`.
    fn shift_left(a: Self, b: Self) -> Self;
    /// The bits of `a` moved down by `b`, zeros behind them.
    fn shift_right(a: Self, b: Self) -> Self;
}

macro_rules! bits {
    ($t:ty, $unsigned:ty) => {
        impl Bits for $t {
            #[inline(always)]
            fn and(a: $t, b: $t) -> $t {
                a & b
            }
            #[inline(always)]
            fn or(a: $t, b: $t) -> $t {
                a | b
            }
            #[inline(always)]
            fn xor(a: $t, b: $t) -> $t {
                a ^ b
            }
            #[inline(always)]
            fn shift_left(a: $t, b: $t) -> $t {
                u32::try_from(b).ok().and_then(|by| a.checked_shl(by)).unwrap_or(0)
            }
            #[inline(always)]
            fn shift_right(a: $t, b: $t) -> $t {
                let moved = u32::try_from(b).ok().and_then(|by| (a as $unsigned).checked_shr(by));
                moved.unwrap_or(0) as $t
            }
        }
    };
}
bits!(i32, u32);
bits!(i64, u64);

/// Writes the function of the bits of `lhs` and `rhs` to `out`, whose shape is that of both together.
///
/// # Panics
/// If the shapes do not broadcast, or a length does not fit its shape.
pub fn bitwise<T: Bits>(cpu: Cpu, op: Bitwise, lhs: Tensor<T>, rhs: Tensor<T>, out: &mut [T]) {
    let walk = Walk::new([lhs.shape, rhs.shape]);
    lhs.check();
    rhs.check();
    assert_eq!(out.len(), walk.len(), "{op:?}: the output's length");
    for_each_block(cpu, out, |start, out| {
        let (lhs, rhs) = (lhs.values, rhs.values);
        cpu.isa.run(Join { op, pairs: Pairs { walk: &walk, lhs, rhs, out, start } });
    });
}

struct Join<'a, T> {
    op: Bitwise,
    pairs: Pairs<'a, T, T, T>,
}

impl<T: Bits> Kernel for Join<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        match self.op {
            Bitwise::And => self.pairs.apply(T::and),
            Bitwise::Or => self.pairs.apply(T::or),
            Bitwise::Xor => self.pairs.apply(T::xor),
            Bitwise::ShiftLeft => self.pairs.apply(T::shift_left),
            Bitwise::ShiftRight => self.pairs.apply(T::shift_right),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isa, Pool};

    #[test]
    fn bits_are_joined_and_moved_over_ragged_sizes() {
        let pool = Pool::new(2);
        for isa in Isa::available() {
            let cpu = Cpu { isa, pool: &pool };
            for len in [0, 1, 7, 8, 9, 40_000] {
                let a: Vec<i64> = (0..len as i64).map(|i| i * 0x9E37_79B9 - 77).collect();
                let b: Vec<i64> = (0..len as i64).map(|i| i % 70).collect();
                let run = |op| {
                    let mut out = vec![0; len];
                    let shape = [len];
                    let tensor = |values| Tensor { values, shape: &shape };
                    bitwise(cpu, op, tensor(&a), tensor(&b), &mut out);
                    out
                };
                let expected = |f: fn(i64, i64) -> i64| {
                    a.iter().zip(&b).map(|(&a, &b)| f(a, b)).collect::<Vec<i64>>()
                };
                assert_eq!(run(Bitwise::And), expected(|a, b| a & b));
                assert_eq!(run(Bitwise::Or), expected(|a, b| a | b));
                assert_eq!(run(Bitwise::Xor), expected(|a, b| a ^ b));
                let left = expected(|a, b| if b < 64 { a << b } else { 0 });
                assert_eq!(run(Bitwise::ShiftLeft), left);
                let right = expected(|a, b| if b < 64 { ((a as u64) >> b) as i64 } else { 0 });
                assert_eq!(run(Bitwise::ShiftRight), right);
            }
        }
    }
}
