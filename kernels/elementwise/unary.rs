//! Functions of one number.

use super::arithmetic::for_each_block;
use crate::Cpu;
use crate::activation::{Activation, math};
use crate::isa::{Kernel, Simd};

/// A function of one `f32`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// −x.
    Neg,
    /// |x|.
    Abs,
    /// √x.
    Sqrt,
    /// 1 / √x.
    Rsqrt,
    /// x².
    Square,
    /// eˣ.
    Exp,
    /// The natural logarithm.
    Log,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// The error function, within 1 ulp.
    Erf,
    /// The largest whole number not above x.
    Floor,
    /// The smallest whole number not below x.
    Ceil,
    /// The nearest whole number, the even one of two.
    Round,
    /// −1, 0 or 1; NaN stays.
    Sign,
    /// 1 / x.
    Reciprocal,
    /// The tangent.
    Tan,
    /// The inverse of the sine.
    Asin,
    /// The inverse of the cosine.
    Acos,
    /// The inverse of the tangent.
    Atan,
    /// The hyperbolic sine.
    Sinh,
    /// The hyperbolic cosine.
    Cosh,
    /// The inverse of the hyperbolic sine.
    Asinh,
    /// The inverse of the hyperbolic cosine.
    Acosh,
    /// The inverse of the hyperbolic tangent.
    Atanh,
    /// The natural logarithm of 1 + x.
    Log1p,
    /// eˣ − 1.
    Expm1,
    /// The logarithm to base 2.
    Log2,
    /// The logarithm to base 10.
    Log10,
    /// An element-wise activation function.
    Activation(Activation),
}

/// A function of one integer. Results wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegerUnary {
    /// −x.
    Neg,
    /// |x|.
    Abs,
    /// x².
    Square,
    /// −1, 0 or 1.
    Sign,
}

/// Writes `op(x)` to `out`.
///
/// # Panics
/// If the lengths differ, or an activation works on rows.
pub fn unary(cpu: Cpu, op: Unary, x: &[f32], out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "{op:?}: the output's length");
    for_each_block(cpu, out, |start, out| {
        out.copy_from_slice(&x[start..start + out.len()]);
        change(cpu, op, out);
    });
}

/// Writes `op(x)` to `out`, in 64 bits: for what is not worth a fast form.
///
/// # Panics
/// If the lengths differ, or `op` is an activation.
pub fn unary_f64(cpu: Cpu, op: Unary, x: &[f64], out: &mut [f64]) {
    assert_eq!(x.len(), out.len(), "{op:?}: the output's length");
    let function = of_f64(op);
    for_each_block(cpu, out, |start, out| {
        out.iter_mut().zip(&x[start..]).for_each(|(out, &x)| *out = function(x));
    });
}

fn of_f64(op: Unary) -> fn(f64) -> f64 {
    match op {
        Unary::Neg => |x| -x,
        Unary::Abs => f64::abs,
        Unary::Sqrt => f64::sqrt,
        Unary::Rsqrt => |x| 1.0 / x.sqrt(),
        Unary::Square => |x| x * x,
        Unary::Exp => f64::exp,
        Unary::Log => f64::ln,
        Unary::Sin => f64::sin,
        Unary::Cos => f64::cos,
        Unary::Erf => crate::activation::reference::erf,
        Unary::Floor => f64::floor,
        Unary::Ceil => f64::ceil,
        Unary::Round => f64::round_ties_even,
        Unary::Sign => |x| if x == 0.0 || x.is_nan() { x } else { x.signum() },
        Unary::Reciprocal => |x| 1.0 / x,
        Unary::Tan => f64::tan,
        Unary::Asin => f64::asin,
        Unary::Acos => f64::acos,
        Unary::Atan => f64::atan,
        Unary::Sinh => f64::sinh,
        Unary::Cosh => f64::cosh,
        Unary::Asinh => f64::asinh,
        Unary::Acosh => f64::acosh,
        Unary::Atanh => f64::atanh,
        Unary::Log1p => f64::ln_1p,
        Unary::Expm1 => f64::exp_m1,
        Unary::Log2 => f64::log2,
        Unary::Log10 => f64::log10,
        Unary::Activation(activation) => panic!("{activation:?} has no form in 64 bits"),
    }
}

/// Replaces every value by `op` of it.
///
/// # Panics
/// If an activation works on rows.
pub fn unary_assign(cpu: Cpu, op: Unary, x: &mut [f32]) {
    for_each_block(cpu, x, |_, block| change(cpu, op, block));
}

fn change(cpu: Cpu, op: Unary, block: &mut [f32]) {
    match op {
        Unary::Activation(activation) => activation.apply(cpu.isa, block),
        op => cpu.isa.run(Change { op, block }),
    }
}

struct Change<'a> {
    op: Unary,
    block: &'a mut [f32],
}

impl Change<'_> {
    #[inline(always)]
    fn apply(self, f: impl Fn(f32) -> f32) {
        self.block.iter_mut().for_each(|value| *value = f(*value));
    }
}

impl Kernel for Change<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        match self.op {
            Unary::Neg => self.apply(|x| -x),
            Unary::Abs => self.apply(f32::abs),
            Unary::Sqrt => self.apply(f32::sqrt),
            Unary::Rsqrt => self.apply(|x| 1.0 / x.sqrt()),
            Unary::Square => self.apply(|x| x * x),
            Unary::Exp => self.apply(math::exp::<S>),
            Unary::Log => self.apply(f32::ln),
            Unary::Sin => self.apply(f32::sin),
            Unary::Cos => self.apply(f32::cos),
            Unary::Erf => self.apply(|x| math::erf64::<S>(f64::from(x)) as f32),
            Unary::Floor => self.apply(f32::floor),
            Unary::Ceil => self.apply(f32::ceil),
            Unary::Round => self.apply(f32::round_ties_even),
            Unary::Sign => self.apply(|x| {
                let sign = f32::from(u8::from(x > 0.0)) - f32::from(u8::from(x < 0.0));
                if x.is_nan() { x } else { sign }
            }),
            Unary::Reciprocal => self.apply(|x| 1.0 / x),
            Unary::Tan => self.apply(f32::tan),
            Unary::Asin => self.apply(f32::asin),
            Unary::Acos => self.apply(f32::acos),
            Unary::Atan => self.apply(f32::atan),
            Unary::Sinh => self.apply(f32::sinh),
            Unary::Cosh => self.apply(f32::cosh),
            Unary::Asinh => self.apply(f32::asinh),
            Unary::Acosh => self.apply(f32::acosh),
            Unary::Atanh => self.apply(f32::atanh),
            Unary::Log1p => self.apply(f32::ln_1p),
            Unary::Expm1 => self.apply(f32::exp_m1),
            Unary::Log2 => self.apply(f32::log2),
            Unary::Log10 => self.apply(f32::log10),
            // `change` has taken it.
            Unary::Activation(_) => {}
        }
    }
}

/// Writes `op(x)` to `out`, for `i32` and `i64`.
///
/// # Panics
/// If the lengths differ.
pub fn unary_integer<T: Integer>(cpu: Cpu, op: IntegerUnary, x: &[T], out: &mut [T]) {
    assert_eq!(x.len(), out.len(), "{op:?}: the output's length");
    for_each_block(cpu, out, |start, out| {
        let pairs = out.iter_mut().zip(&x[start..]);
        match op {
            IntegerUnary::Neg => pairs.for_each(|(out, x)| *out = x.neg()),
            IntegerUnary::Abs => pairs.for_each(|(out, x)| *out = x.abs()),
            IntegerUnary::Square => pairs.for_each(|(out, x)| *out = x.square()),
            IntegerUnary::Sign => pairs.for_each(|(out, x)| *out = x.sign()),
        }
    });
}

/// `i32` or `i64`.
pub trait Integer: Copy + Send + Sync {
    /// −x.
    fn neg(self) -> Self;
    /// |x|.
    fn abs(self) -> Self;
    /// x².
    fn square(self) -> Self;
    /// −1, 0 or 1.
    fn sign(self) -> Self;
}

macro_rules! integer {
    ($t:ty) => {
        impl Integer for $t {
            fn neg(self) -> $t {
                self.wrapping_neg()
            }
            fn abs(self) -> $t {
                self.wrapping_abs()
            }
            fn square(self) -> $t {
                self.wrapping_mul(self)
            }
            fn sign(self) -> $t {
                self.signum()
            }
        }
    };
}
integer!(i32);
integer!(i64);
