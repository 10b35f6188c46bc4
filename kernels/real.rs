//! The floating-point numbers that reference kernels are generic over.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// `f32` or `f64`, as far as the reference kernels need them.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Sum
    + Send
    + Sync
    + 'static
{
    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;
    /// This number, exactly.
    fn to_f64(self) -> f64;
    /// e to the power of this number.
    fn exp(self) -> Self;
    /// `exp(x) - 1` without cancellation near 0.
    fn exp_m1(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// `ln(1 + x)` without cancellation near 0.
    fn ln_1p(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;

    /// Nought.
    fn zero() -> Self {
        Self::default()
    }
    /// One.
    fn one() -> Self {
        Self::from_f64(1.0)
    }
    /// The larger of two numbers; NaN if `self` is NaN.
    fn at_least(self, low: Self) -> Self {
        if self < low { low } else { self }
    }
    /// The smaller of two numbers; NaN if `self` is NaN.
    fn at_most(self, high: Self) -> Self {
        if self > high { high } else { self }
    }
}

macro_rules! real {
    ($type:ident) => {
        impl Real for $type {
            fn from_f64(value: f64) -> Self {
                value as $type
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn exp(self) -> Self {
                $type::exp(self)
            }
            fn exp_m1(self) -> Self {
                $type::exp_m1(self)
            }
            fn ln(self) -> Self {
                $type::ln(self)
            }
            fn ln_1p(self) -> Self {
                $type::ln_1p(self)
            }
            fn tanh(self) -> Self {
                $type::tanh(self)
            }
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }
            fn abs(self) -> Self {
                $type::abs(self)
            }
        }
    };
}

real!(f32);
real!(f64);
