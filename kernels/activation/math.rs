//! The transcendental functions of the activations, for one lane, without branches.
//!
//! Called in a plain loop inside [`Isa::run`](crate::Isa::run) they are vectorised. Those in `f32`
//! are the gates of recurrent cells; those in `f64` serve functions whose tails or differences
//! would lose digits in `f32` (their results are rounded once). The polynomials come from
//! `minimax.py` beside this file (Remez exchange in 50 digits, relative error as noted there);
//! the measured error of every activation is what the tests of this module assert.

// The constants stand with the digits that `minimax.py` prints.
#![allow(clippy::excessive_precision)]

use crate::isa::Simd;

/// 1.5 · 2^23: adding it rounds an `f32` to an integer, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;
/// 1.5 · 2^52, the same for `f64`.
const ROUND64: f64 = 6_755_399_441_055_744.0;
/// The leading 15 bits of ln 2, so that its product with an exponent is exact without FMA.
const LN2_HIGH: f32 = 0.693_145_75;
/// ln 2 less [`LN2_HIGH`].
const LN2_LOW: f32 = 1.428_606_8e-6;
/// The leading 33 bits of ln 2.
const LN2_HIGH64: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
/// ln 2 less [`LN2_HIGH64`].
const LN2_LOW64: f64 = 1.908_214_929_270_587_7e-10;

/// `coefficients[0] + x * (coefficients[1] + …)`.
#[inline(always)]
fn horner<S: Simd, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut sum = coefficients[N - 1];
    for index in (0..N - 1).rev() {
        sum = S::fma(sum, x, coefficients[index]);
    }
    sum
}

#[inline(always)]
fn horner64<S: Simd, const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let mut sum = coefficients[N - 1];
    for index in (0..N - 1).rev() {
        sum = S::fma64(sum, x, coefficients[index]);
    }
    sum
}

/// Cody and Waite's reduction: `(r, n)` with `x = n ln 2 + r` and `|r| <= ln 2 / 2`.
#[inline(always)]
fn reduce<S: Simd>(x: f32) -> (f32, i32) {
    let shifted = S::fma(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = S::fma(n, -LN2_LOW, S::fma(n, -LN2_HIGH, x));
    (r, (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32))
}

/// 2^n for n in -126..=127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// e^x, within 2 ulp, subnormal results included.
#[inline(always)]
pub fn exp<S: Simd>(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -105.0 { -105.0 } else { x };
    let (r, n) = reduce::<S>(x);
    let q =
        horner::<S, 5>(r, [0.499_999_93, 0.166_665_21, 0.041_668_388, 8.368_717e-3, 1.381_46e-3]);
    let p = S::fma(r * r, q, r) + 1.0;
    // Two factors, because 2^n itself may be too large or too small for a normal number.
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// e^x for x in -87..=88, where it is a normal number, within 2 ulp.
#[inline(always)]
pub fn exp_normal<S: Simd>(x: f32) -> f32 {
    let (r, n) = reduce::<S>(x);
    let q =
        horner::<S, 5>(r, [0.499_999_93, 0.166_665_21, 0.041_668_388, 8.368_717e-3, 1.381_46e-3]);
    let p = S::fma(r * r, q, r) + 1.0;
    p * power_of_two(n)
}

/// e^x - 1 for x <= 0, within 2 ulp.
#[inline(always)]
pub fn exp_m1_negative<S: Simd>(x: f32) -> f32 {
    // From -18 on the result rounds to -1.
    let clamped = if x < -18.0 { -18.0 } else { x };
    let (r, n) = reduce::<S>(clamped);
    let q = horner::<S, 5>(r, [0.5, 0.166_665_44, 0.041_667_2, 8.366_521e-3, 1.388_252_2e-3]);
    let p = S::fma(r * r, q, r);
    let scale = power_of_two(n);
    S::fma(scale, p, scale - 1.0)
}

/// The hyperbolic tangent, within 3 ulp and never beyond ±1: with e = exp(-2|x|) - 1 it is
/// -e / (2 + e), which keeps all digits near 0 and cannot overflow.
#[inline(always)]
pub fn tanh<S: Simd>(x: f32) -> f32 {
    let e = exp_m1_negative::<S>(-2.0 * x.abs());
    (-e / (2.0 + e)).copysign(x)
}

/// The logistic function 1 / (1 + exp(-x)), within 3 ulp and inside 0..=1: with z = exp(-|x|) it
/// is 1 / (1 + z) or z / (1 + z), which keeps the digits of the lower tail.
#[inline(always)]
pub fn sigmoid<S: Simd>(x: f32) -> f32 {
    let z = exp::<S>(-x.abs());
    (if x < 0.0 { z } else { 1.0 }) / (1.0 + z)
}

/// e^x in `f64`, to 1e-12, for |x| <= 700 (beyond, as at ±700).
#[inline(always)]
pub fn exp64<S: Simd>(x: f64) -> f64 {
    let x = if x > 700.0 { 700.0 } else { x };
    let x = if x < -700.0 { -700.0 } else { x };
    let shifted = S::fma64(x, std::f64::consts::LOG2_E, ROUND64);
    let n = shifted - ROUND64;
    let r = S::fma64(n, -LN2_LOW64, S::fma64(n, -LN2_HIGH64, x));
    let q = horner64::<S, 7>(
        r,
        [
            0.500_000_000_042_712_6,
            0.166_666_667_845_102_35,
            0.041_666_664_403_795_214,
            8.333_281_787_996_9e-3,
            1.388_919_724_781_137_5e-3,
            1.990_895_219_982_7e-4,
            2.470_827_119_629_874e-5,
        ],
    );
    let p = S::fma64(r * r, q, r) + 1.0;
    // The low bits of `shifted` hold n; the shift moves them to the exponent.
    p * f64::from_bits((shifted.to_bits() << 52).wrapping_add(0x3ff0_0000_0000_0000))
}

/// ln(1 + z) in `f64`, to 1e-11, for z in 0..=1: 2 artanh(s) with s = z / (2 + z).
#[inline(always)]
pub fn ln_1p64<S: Simd>(z: f64) -> f64 {
    let s = z / (2.0 + z);
    let p = horner64::<S, 7>(
        s * s,
        [
            1.000_000_000_002_514_2,
            0.333_333_331_136_571_5,
            0.200_000_312_703_202_94,
            0.142_840_513_039_670_5,
            0.111_529_392_909_117_99,
            0.085_582_567_676_532_96,
            0.109_393_377_651_972_6,
        ],
    );
    2.0 * s * p
}

/// x σ(x).
#[inline(always)]
pub fn silu64<S: Simd>(x: f64) -> f64 {
    finite(x) * sigmoid64::<S>(x)
}

/// The logistic function in `f64`.
#[inline(always)]
pub fn sigmoid64<S: Simd>(x: f64) -> f64 {
    1.0 / (1.0 + exp64::<S>(-x))
}

/// ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(-|x|)).
#[inline(always)]
pub fn softplus64<S: Simd>(x: f64) -> f64 {
    (if x < 0.0 { 0.0 } else { x }) + ln_1p64::<S>(exp64::<S>(-x.abs()))
}

/// x tanh(softplus(x)): with e = exp(-|x|) the tangent is n / (n + 2) for n = e (e + 2) below 0,
/// and (1 + 2e) / (1 + 2e + 2e²) above.
#[inline(always)]
pub fn mish64<S: Simd>(x: f64) -> f64 {
    let e = exp64::<S>(-x.abs());
    let below = e * (e + 2.0);
    let above = 1.0 + 2.0 * e;
    let negative = x < 0.0;
    let numerator = if negative { below } else { above };
    let rest = if negative { 2.0 } else { 2.0 * e * e };
    finite(x) * (numerator / (numerator + rest))
}

/// x Φ(x), Φ the normal distribution.
#[inline(always)]
pub fn gelu64<S: Simd>(x: f64) -> f64 {
    let u = x.abs();
    let u = if u > 15.0 { 15.0 } else { u };
    let tail = normal_tail64::<S>(u);
    if x < 0.0 { -u * tail } else { x * (1.0 - tail) }
}

/// The derivative of x Φ(x): Φ(x) + x φ(x), φ the density.
#[inline(always)]
pub fn gelu_slope64<S: Simd>(x: f64) -> f64 {
    let u = x.abs();
    let u = if u > 15.0 { 15.0 } else { u };
    let tail = normal_tail64::<S>(u);
    let rest = u * exp64::<S>(-0.5 * u * u) * 0.398_942_280_401_432_7;
    if x < 0.0 { tail - rest } else { (1.0 - tail) + rest }
}

/// Φ(-u) = exp(-u²/2) P(1 / (1 + u/3)), where P fits erfcx(u/√2)/2 for u in 0..=15 to 2e-10;
/// below -15 the result rounds to 0.
#[inline(always)]
fn normal_tail64<S: Simd>(u: f64) -> f64 {
    let p = horner64::<S, 13>(
        1.0 / (1.0 + u * (1.0 / 3.0)),
        [
            -7.305_476_553_388_617e-7,
            0.133_005_625_833_095_18,
            0.132_603_770_788_544_17,
            0.121_570_575_170_113_99,
            0.068_960_751_705_632_73,
            0.128_726_763_763_545_5,
            -0.216_271_937_937_581_23,
            0.436_263_400_753_129_2,
            -0.651_163_624_581_990_9,
            0.549_002_734_886_494_7,
            -0.263_636_992_929_620_3,
            0.068_408_671_411_242_29,
            -7.469_009_219_757_812e-3,
        ],
    );
    exp64::<S>(-0.5 * u * u) * p
}

/// The error function erf(x) = 1 - 2 Φ(-√2 x), to 1e-9: near 0, where the difference would cancel,
/// by its Taylor series 2/√π (x - x³/3 + x⁵/10 - x⁷/42 + …) (Abramowitz and Stegun 7.1.5).
#[inline(always)]
pub fn erf64<S: Simd>(x: f64) -> f64 {
    let square = x * x;
    let series = horner64::<S, 7>(
        square,
        [1.0, -1.0 / 3.0, 1.0 / 10.0, -1.0 / 42.0, 1.0 / 216.0, -1.0 / 1320.0, 1.0 / 9360.0],
    );
    let near = x * series * std::f64::consts::FRAC_2_SQRT_PI;
    let u = x.abs() * std::f64::consts::SQRT_2;
    let u = if u > 15.0 { 15.0 } else { u };
    let far = (1.0 - 2.0 * normal_tail64::<S>(u)).copysign(x);
    if x.abs() < 0.5 { near } else { far }
}

/// x σ(1.5957691 (x + 0.044715 x³)): the tanh form of GELU, since (1 + tanh y) / 2 = σ(2y).
#[inline(always)]
pub fn gelu_tanh64<S: Simd>(x: f64) -> f64 {
    finite(x) * sigmoid64::<S>(GELU_TANH_SCALE * (x + 0.044715 * x * x * x))
}

/// 2 √(2/π).
pub(super) const GELU_TANH_SCALE: f64 = 1.595_769_121_605_730_7;

/// x - tanh(x): x³ P(x²) where the difference would cancel.
#[inline(always)]
pub fn tanh_shrink64<S: Simd>(x: f64) -> f64 {
    let square = x * x;
    let near = x
        * square
        * horner64::<S, 7>(
            square,
            [
                0.333_333_333_330_212_2,
                -0.133_333_332_108_363_5,
                0.053_968_175_144_298_27,
                -0.021_867_576_538_713_194,
                8.840_972_583_344_779e-3,
                -3.457_033_666_760_522e-3,
                1.034_308_909_298_780_7e-3,
            ],
        );
    let e = exp64::<S>(-2.0 * x.abs());
    let far = x - ((1.0 - e) / (1.0 + e)).copysign(x);
    if x.abs() < 0.5 { near } else { far }
}

/// (x + √(x² + b)) / 2, turned round below 0, where the sum would cancel.
#[inline(always)]
pub fn squareplus64(x: f64, b: f64) -> f64 {
    let root = (x * x + b).sqrt();
    if x < 0.0 { 0.5 * b / (root - x) } else { 0.5 * (x + root) }
}

/// x, with -inf drawn in to the range of `f32`, so that its product with a tail of 1e-304 is 0.
#[inline(always)]
fn finite(x: f64) -> f64 {
    if x < -1e39 { -1e39 } else { x }
}
