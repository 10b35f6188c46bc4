//! The arithmetic of each number type.

use super::Arithmetic;

/// A number that the operators of this module work on: `f32`, `f64`, `i32`, `i64` or `u64`.
///
/// Integers wrap around. The caller makes sure that an integer is not divided by 0 and not raised
/// to a negative power ([`undefined`](Number::undefined)).
pub trait Number: Copy + PartialOrd + Send + Sync + 'static {
    /// a + b.
    fn add(a: Self, b: Self) -> Self;
    /// a − b.
    fn sub(a: Self, b: Self) -> Self;
    /// a · b.
    fn mul(a: Self, b: Self) -> Self;
    /// a / b.
    fn div(a: Self, b: Self) -> Self;
    /// The larger one.
    fn max(a: Self, b: Self) -> Self;
    /// The smaller one.
    fn min(a: Self, b: Self) -> Self;
    /// a to the power of b.
    fn pow(a: Self, b: Self) -> Self;
    /// The largest whole number not above a / b.
    fn floor_div(a: Self, b: Self) -> Self;
    /// What `floor_div` leaves over.
    fn modulo(a: Self, b: Self) -> Self;
    /// What the division of C leaves over.
    fn rem(a: Self, b: Self) -> Self;
    /// Whether `op` has no result for the right operand `b`, and that operand.
    fn undefined(op: Arithmetic, b: Self) -> Option<i64>;
}

macro_rules! float {
    ($t:ty) => {
        impl Number for $t {
            #[inline(always)]
            fn add(a: $t, b: $t) -> $t {
                a + b
            }
            #[inline(always)]
            fn sub(a: $t, b: $t) -> $t {
                a - b
            }
            #[inline(always)]
            fn mul(a: $t, b: $t) -> $t {
                a * b
            }
            #[inline(always)]
            fn div(a: $t, b: $t) -> $t {
                a / b
            }
            #[inline(always)]
            fn max(a: $t, b: $t) -> $t {
                if (a > b) | a.is_nan() { a } else { b }
            }
            #[inline(always)]
            fn min(a: $t, b: $t) -> $t {
                if (a < b) | a.is_nan() { a } else { b }
            }
            #[inline(always)]
            fn pow(a: $t, b: $t) -> $t {
                a.powf(b)
            }
            #[inline(always)]
            fn floor_div(a: $t, b: $t) -> $t {
                (a / b).floor()
            }
            #[inline(always)]
            fn modulo(a: $t, b: $t) -> $t {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
            }
            #[inline(always)]
            fn rem(a: $t, b: $t) -> $t {
                a % b
            }
            #[inline(always)]
            fn undefined(_: Arithmetic, _: $t) -> Option<i64> {
                None
            }
        }
    };
}
float!(f32);
float!(f64);

macro_rules! integer {
    ($t:ty) => {
        impl Number for $t {
            #[inline(always)]
            fn add(a: $t, b: $t) -> $t {
                a.wrapping_add(b)
            }
            #[inline(always)]
            fn sub(a: $t, b: $t) -> $t {
                a.wrapping_sub(b)
            }
            #[inline(always)]
            fn mul(a: $t, b: $t) -> $t {
                a.wrapping_mul(b)
            }
            #[inline(always)]
            fn div(a: $t, b: $t) -> $t {
                a.wrapping_div(b)
            }
            #[inline(always)]
            fn max(a: $t, b: $t) -> $t {
                a.max(b)
            }
            #[inline(always)]
            fn min(a: $t, b: $t) -> $t {
                a.min(b)
            }
            #[inline(always)]
            fn pow(a: $t, b: $t) -> $t {
                let (mut base, mut exponent, mut power): ($t, $t, $t) = (a, b, 1);
                while exponent > 0 {
                    if exponent & 1 == 1 {
                        power = power.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    exponent >>= 1;
                }
                power
            }
            #[inline(always)]
            fn floor_div(a: $t, b: $t) -> $t {
                let rest = a.wrapping_rem(b);
                let down = rest != 0 && (rest < 0) != (b < 0);
                a.wrapping_div(b) - <$t>::from(down)
            }
            #[inline(always)]
            fn modulo(a: $t, b: $t) -> $t {
                let rest = a.wrapping_rem(b);
                if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
            }
            #[inline(always)]
            fn rem(a: $t, b: $t) -> $t {
                a.wrapping_rem(b)
            }
            #[inline(always)]
            fn undefined(op: Arithmetic, b: $t) -> Option<i64> {
                let undefined = match op {
                    Arithmetic::Div | Arithmetic::FloorDiv | Arithmetic::Mod | Arithmetic::Rem => {
                        b == 0
                    }
                    Arithmetic::Pow => b < 0,
                    _ => false,
                };
                undefined.then_some(b.into())
            }
        }
    };
}
integer!(i32);
integer!(i64);

impl Number for u64 {
    #[inline(always)]
    fn add(a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }
    #[inline(always)]
    fn sub(a: u64, b: u64) -> u64 {
        a.wrapping_sub(b)
    }
    #[inline(always)]
    fn mul(a: u64, b: u64) -> u64 {
        a.wrapping_mul(b)
    }
    #[inline(always)]
    fn div(a: u64, b: u64) -> u64 {
        a / b
    }
    #[inline(always)]
    fn max(a: u64, b: u64) -> u64 {
        Ord::max(a, b)
    }
    #[inline(always)]
    fn min(a: u64, b: u64) -> u64 {
        Ord::min(a, b)
    }
    #[inline(always)]
    fn pow(a: u64, b: u64) -> u64 {
        let (mut base, mut exponent, mut power) = (a, b, 1u64);
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = power.wrapping_mul(base);
            }
            base = base.wrapping_mul(base);
            exponent >>= 1;
        }
        power
    }
    #[inline(always)]
    fn floor_div(a: u64, b: u64) -> u64 {
        a / b
    }
    #[inline(always)]
    fn modulo(a: u64, b: u64) -> u64 {
        a % b
    }
    #[inline(always)]
    fn rem(a: u64, b: u64) -> u64 {
        a % b
    }
    #[inline(always)]
    fn undefined(op: Arithmetic, b: u64) -> Option<i64> {
        let divides = matches!(
            op,
            Arithmetic::Div | Arithmetic::FloorDiv | Arithmetic::Mod | Arithmetic::Rem
        );
        (divides && b == 0).then_some(0)
    }
}
