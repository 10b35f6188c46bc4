//! Conversions between the element types.

use half::f16;

use super::arithmetic::for_each_block;
use crate::Cpu;

/// Elements to read. Truth values are `u8`, 0 or not 0.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each variant is named for its type")]
pub enum Elements<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    F16(&'a [f16]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    Bool(&'a [u8]),
}

/// Elements to write. Truth values are `u8`, 0 or 1.
#[derive(Debug)]
#[allow(missing_docs, reason = "each variant is named for its type")]
pub enum ElementsMut<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    F16(&'a mut [f16]),
    I8(&'a mut [i8]),
    I16(&'a mut [i16]),
    I32(&'a mut [i32]),
    I64(&'a mut [i64]),
    U8(&'a mut [u8]),
    U16(&'a mut [u16]),
    U32(&'a mut [u32]),
    U64(&'a mut [u64]),
    Bool(&'a mut [u8]),
}

/// What every number converts to.
trait FromNumber: Copy + Send + Sync {
    fn from_f32(x: f32) -> Self;
    fn from_f64(x: f64) -> Self;
    fn from_i64(x: i64) -> Self;
    fn from_u64(x: u64) -> Self;
}

macro_rules! from_number {
    ($($t:ty),*) => {$(
        impl FromNumber for $t {
            #[inline(always)]
            fn from_f32(x: f32) -> $t {
                x as $t
            }
            #[inline(always)]
            fn from_f64(x: f64) -> $t {
                x as $t
            }
            #[inline(always)]
            fn from_i64(x: i64) -> $t {
                x as $t
            }
            #[inline(always)]
            fn from_u64(x: u64) -> $t {
                x as $t
            }
        }
    )*};
}
from_number!(f32, f64, i8, i16, i32, i64, u8, u16, u32, u64);

impl FromNumber for f16 {
    #[inline(always)]
    fn from_f32(x: f32) -> f16 {
        f16::from_f32(x)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> f16 {
        f16::from_f64(x)
    }
    // An integer that f64 does not hold lies far beyond the largest f16.
    #[inline(always)]
    fn from_i64(x: i64) -> f16 {
        f16::from_f64(x as f64)
    }
    #[inline(always)]
    fn from_u64(x: u64) -> f16 {
        f16::from_f64(x as f64)
    }
}

/// Writes `x` converted to another type.
///
/// A float is rounded to the nearest of a narrower type. As an integer it loses its fraction and
/// stops at the ends of the range; NaN gives 0. Integers keep their lowest bits. A truth value is 0
/// or 1, and everything but 0 (NaN too) is true.
///
/// # Panics
/// If the lengths differ.
pub fn cast(cpu: Cpu, x: Elements<'_>, out: ElementsMut<'_>) {
    macro_rules! from {
        ($x:expr, $wide:ident, $number:expr, $zero:expr) => {
            match out {
                ElementsMut::F32(out) => map(cpu, $x, out, |x| f32::$wide($number(x))),
                ElementsMut::F64(out) => map(cpu, $x, out, |x| f64::$wide($number(x))),
                ElementsMut::F16(out) => map(cpu, $x, out, |x| f16::$wide($number(x))),
                ElementsMut::I8(out) => map(cpu, $x, out, |x| i8::$wide($number(x))),
                ElementsMut::I16(out) => map(cpu, $x, out, |x| i16::$wide($number(x))),
                ElementsMut::I32(out) => map(cpu, $x, out, |x| i32::$wide($number(x))),
                ElementsMut::I64(out) => map(cpu, $x, out, |x| i64::$wide($number(x))),
                ElementsMut::U8(out) => map(cpu, $x, out, |x| u8::$wide($number(x))),
                ElementsMut::U16(out) => map(cpu, $x, out, |x| u16::$wide($number(x))),
                ElementsMut::U32(out) => map(cpu, $x, out, |x| u32::$wide($number(x))),
                ElementsMut::U64(out) => map(cpu, $x, out, |x| u64::$wide($number(x))),
                ElementsMut::Bool(out) => map(cpu, $x, out, |x| u8::from(x != $zero)),
            }
        };
    }
    match x {
        Elements::F32(x) => from!(x, from_f32, f32::from, 0.0),
        Elements::F64(x) => from!(x, from_f64, f64::from, 0.0),
        Elements::F16(x) => from!(x, from_f32, f16::to_f32, f16::ZERO),
        Elements::I8(x) => from!(x, from_i64, i64::from, 0),
        Elements::I16(x) => from!(x, from_i64, i64::from, 0),
        Elements::I32(x) => from!(x, from_i64, i64::from, 0),
        Elements::I64(x) => from!(x, from_i64, i64::from, 0),
        Elements::U8(x) => from!(x, from_i64, i64::from, 0),
        Elements::U16(x) => from!(x, from_i64, i64::from, 0),
        Elements::U32(x) => from!(x, from_i64, i64::from, 0),
        Elements::U64(x) => from!(x, from_u64, u64::from, 0),
        Elements::Bool(x) => from!(x, from_i64, |x| i64::from(x != 0), 0),
    }
}

fn map<A: Copy + Sync, B: Send>(cpu: Cpu, x: &[A], out: &mut [B], f: impl Fn(A) -> B + Sync) {
    assert_eq!(x.len(), out.len(), "cast: the output's length");
    for_each_block(cpu, out, |start, out| {
        out.iter_mut().zip(&x[start..]).for_each(|(out, &x)| *out = f(x));
    });
}
