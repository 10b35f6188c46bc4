//! Conversions between the element types.

use super::arithmetic::for_each_block;
use crate::Cpu;
use crate::isa::{Kernel, Simd};

/// A type whose values can be converted to `To`. `u8` stands for a truth value.
///
/// Floats lose their fraction and stop at the ends of an integer's range, NaN gives 0; integers
/// keep their lowest bits; a truth value is 0 or 1, and everything but 0 (NaN too) is true.
pub trait Cast<To>: Copy + Send + Sync {
    /// The converted value.
    fn cast(self) -> To;
}

macro_rules! casts {
    ($($from:ty => $($to:ty),+;)*) => {$($(
        impl Cast<$to> for $from {
            #[inline(always)]
            fn cast(self) -> $to {
                self as $to
            }
        }
    )+)*};
}
casts! {
    f32 => f32, i32, i64;
    i32 => f32, i32, i64;
    i64 => f32, i32, i64;
}

macro_rules! truth_casts {
    ($($t:ty, $zero:expr, $one:expr;)*) => {$(
        impl Cast<u8> for $t {
            #[inline(always)]
            fn cast(self) -> u8 {
                u8::from(self != $zero)
            }
        }
        impl Cast<$t> for u8 {
            #[inline(always)]
            fn cast(self) -> $t {
                if self != 0 { $one } else { $zero }
            }
        }
    )*};
}
truth_casts! {
    f32, 0.0, 1.0;
    i32, 0, 1;
    i64, 0, 1;
}

/// Writes `x` converted to another type; see [`Cast`].
///
/// # Panics
/// If the lengths differ.
pub fn cast<A: Cast<B>, B: Send>(cpu: Cpu, x: &[A], out: &mut [B]) {
    assert_eq!(x.len(), out.len(), "cast: the output's length");
    for_each_block(cpu, out, |start, out| {
        cpu.isa.run(Convert { x: &x[start..start + out.len()], out });
    });
}

struct Convert<'a, A, B> {
    x: &'a [A],
    out: &'a mut [B],
}

impl<A: Cast<B>, B> Kernel for Convert<'_, A, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.out.iter_mut().zip(self.x).for_each(|(out, &x)| *out = x.cast());
    }
}
