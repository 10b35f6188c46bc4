//! Functions of the bits of integers.

use super::arithmetic::for_each_block;
use super::broadcast::{Pairs, Walk};
use super::{Bitwise, Tensor};
use crate::Cpu;

/// An integer whose bits are worked on: `i32`, `i64` or `u64`.
pub trait Bits: Copy + Send + Sync {
    /// The bits of both.
    fn and(self, other: Self) -> Self;
    /// The bits of one or both.
    fn or(self, other: Self) -> Self;
    /// The bits of one alone.
    fn xor(self, other: Self) -> Self;
    /// The bits that it has not.
    fn not(self) -> Self;
    /// The bits moved up by `count`; by their number or more, or a negative count: 0.
    fn shift_left(self, count: Self) -> Self;
    /// The bits moved down by `count`, the sign's bit repeated; by their number or more, or a
    /// negative count: what is left is the sign's bit alone.
    fn shift_right(self, count: Self) -> Self;
}

macro_rules! bits {
    ($($t:ty),*) => {$(
        impl Bits for $t {
            #[inline(always)]
            fn and(self, other: $t) -> $t {
                self & other
            }
            #[inline(always)]
            fn or(self, other: $t) -> $t {
                self | other
            }
            #[inline(always)]
            fn xor(self, other: $t) -> $t {
                self ^ other
            }
            #[inline(always)]
            fn not(self) -> $t {
                !self
            }
            #[inline(always)]
            fn shift_left(self, count: $t) -> $t {
                u32::try_from(count).ok().and_then(|count| self.checked_shl(count)).unwrap_or(0)
            }
            #[inline(always)]
            fn shift_right(self, count: $t) -> $t {
                let last = <$t>::BITS - 1;
                match u32::try_from(count) {
                    Ok(count) if count <= last => self >> count,
                    _ => (self >> last) >> 1,
                }
            }
        }
    )*};
}
bits!(i32, i64, u64);

/// Writes `op(lhs, rhs)` to `out`, whose shape is that of both operands together.
///
/// # Panics
/// If the shapes do not broadcast, or a length does not fit its shape.
pub fn bitwise<T: Bits>(cpu: Cpu, op: Bitwise, lhs: Tensor<T>, rhs: Tensor<T>, out: &mut [T]) {
    let walk = Walk::new([lhs.shape, rhs.shape]);
    lhs.check();
    rhs.check();
    assert_eq!(out.len(), walk.len(), "{op:?}: the output's length");
    for_each_block(cpu, out, |start, out| {
        let pairs = Pairs { walk: &walk, lhs: lhs.values, rhs: rhs.values, out, start };
        match op {
            Bitwise::And => pairs.apply(T::and),
            Bitwise::Or => pairs.apply(T::or),
            Bitwise::Xor => pairs.apply(T::xor),
            Bitwise::ShiftLeft => pairs.apply(T::shift_left),
            Bitwise::ShiftRight => pairs.apply(T::shift_right),
        }
    });
}

/// Writes the bits that `x` has not.
///
/// # Panics
/// If the lengths differ.
pub fn bitwise_not<T: Bits>(cpu: Cpu, x: &[T], out: &mut [T]) {
    assert_eq!(x.len(), out.len(), "bitwise not: the output's length");
    for_each_block(cpu, out, |start, out| {
        out.iter_mut().zip(&x[start..]).for_each(|(out, &x)| *out = x.not());
    });
}
