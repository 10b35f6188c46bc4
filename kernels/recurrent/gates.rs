//! The gates of cells with Keras's default activations, as quotients whose division waits.
//!
//! A cell multiplies and adds its gates; done on the fractions, two divisions serve where the gates
//! one by one would take four or five, and division is what a processor does slowest. Numerators
//! are at most as large as their denominators, which lie in 1..=2, so that neither overflows and a
//! product of gates never leaves its range.

use crate::activation::math;
use crate::isa::Simd;

/// `numerator / denominator`, the latter in 1..=2.
#[derive(Clone, Copy)]
pub(crate) struct Fraction {
    pub over: f32,
    pub under: f32,
}

/// The logistic function: with z = exp(-|x|) it is 1 / (1 + z) or z / (1 + z).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(x: f32) -> Fraction {
    let z = exp_negative::<S>(-x.abs());
    Fraction { over: if x < 0.0 { z } else { 1.0 }, under: 1.0 + z }
}

/// The logistic function, and the numerator of 1 less it.
#[inline(always)]
pub(crate) fn sigmoid_and_rest<S: Simd>(x: f32) -> (Fraction, f32) {
    let z = exp_negative::<S>(-x.abs());
    let negative = x < 0.0;
    let value = Fraction { over: if negative { z } else { 1.0 }, under: 1.0 + z };
    (value, if negative { 1.0 } else { z })
}

/// The hyperbolic tangent: with e = exp(-2|x|) - 1 it is -e / (2 + e).
#[inline(always)]
pub(crate) fn tanh<S: Simd>(x: f32) -> Fraction {
    let e = math::exp_m1_negative::<S>(-2.0 * x.abs());
    Fraction { over: (-e).copysign(x), under: 2.0 + e }
}

/// e^x for x <= 0, within 2 ulp; below -87 as at -87, 1.6e-38.
#[inline(always)]
fn exp_negative<S: Simd>(x: f32) -> f32 {
    math::exp_normal::<S>(if x < -87.0 { -87.0 } else { x })
}

/// A step of the LSTM from the sums of its gates and c: the next c and h.
#[inline(always)]
pub(crate) fn lstm<S: Simd>([i, f, g, o]: [f32; 4], c: f32) -> (f32, f32) {
    let (i, f, g, o) = (sigmoid::<S>(i), sigmoid::<S>(f), tanh::<S>(g), sigmoid::<S>(o));
    let under = i.under * g.under;
    let over = S::fma(f.over * c, under, (i.over * g.over) * f.under);
    let c = over / (under * f.under);
    let shown = tanh::<S>(c);
    (c, (o.over * shown.over) / (o.under * shown.under))
}

/// `z h + (1 - z) φ(candidate)`, from the sum of z.
#[inline(always)]
pub(crate) fn blend<S: Simd>(z: f32, candidate: f32, h: f32) -> f32 {
    let ((z, rest), g) = (sigmoid_and_rest::<S>(z), tanh::<S>(candidate));
    S::fma(z.over * h, g.under, rest * g.over) / (z.under * g.under)
}

/// The value of a sigmoid times another.
#[inline(always)]
pub(crate) fn gated<S: Simd>(sum: f32, value: f32) -> f32 {
    let gate = sigmoid::<S>(sum);
    gate.over * value / gate.under
}
