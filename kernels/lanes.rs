//! Loops over rows of `f32` that several kernels share: sums, maxima, exponentials.
//!
//! A sum runs in [`LANES`] partial sums, whatever the instruction set, so that the compiler can
//! vectorise it and its error grows with the row's length divided by that number.

use crate::isa::Simd;

/// Partial results kept side by side.
pub(crate) const LANES: usize = 32;

/// Folds lane results in pairs, in steps of fixed widths, so that they stay in registers.
#[inline(always)]
fn fold(lanes: [f32; LANES], merge: impl Fn(f32, f32) -> f32 + Copy) -> f32 {
    let lanes: [f32; 16] = halve(&lanes, merge);
    let lanes: [f32; 8] = halve(&lanes, merge);
    let lanes: [f32; 4] = halve(&lanes, merge);
    merge(merge(lanes[0], lanes[2]), merge(lanes[1], lanes[3]))
}

/// Merges the second half of some lanes into the first.
#[inline(always)]
fn halve<const N: usize>(lanes: &[f32], merge: impl Fn(f32, f32) -> f32) -> [f32; N] {
    let (low, high) = lanes.split_at(N);
    let mut out = [0.0; N];
    for ((out, &low), &high) in out.iter_mut().zip(low).zip(high) {
        *out = merge(low, high);
    }
    out
}

/// `Σ f(value)` over a row.
#[inline(always)]
pub(crate) fn sum_by(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += f(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += f(value);
    }
    fold(lanes, |a, b| a + b)
}

/// `Σ a (b - shift)` over two rows.
#[inline(always)]
pub(crate) fn product_sum(a: &[f32], b: &[f32], shift: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    for (a, b) in a.zip(b) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * (b - shift);
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(rest) {
        *lane += a * (b - shift);
    }
    fold(lanes, |a, b| a + b)
}

/// The larger of two values; NaN if one is NaN, as in TensorFlow.
#[inline(always)]
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if (a > b) | a.is_nan() { a } else { b }
}

/// The largest value of a row (−∞ if it is empty), NaN if one is NaN.
#[inline(always)]
pub(crate) fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane = larger(*lane, value);
    }
    fold(lanes, larger)
}

/// Replaces every value by `exp(value - shift)` and gives the sum of them.
#[inline(always)]
pub(crate) fn exp_sum<S: Simd>(row: &mut [f32], shift: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let mut chunks = row.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *value = exp::<S>(*value - shift);
            *lane += *value;
        }
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        // Whole vectors are cheaper than a few single exponentials; that of −∞ adds nothing.
        let mut last = [f32::NEG_INFINITY; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for (lane, value) in lanes.iter_mut().zip(&mut last) {
            *value = exp::<S>(*value - shift);
            *lane += *value;
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
    fold(lanes, |a, b| a + b)
}

/// e to the power of a value that is not positive; below −87.3 the result is 0.
///
/// The argument is split into `n · ln 2 + r` with |r| ≤ ln 2 / 2, and the power of `r` is its
/// Taylor polynomial of degree 7, whose error there is below a tenth of an ulp.
#[inline(always)]
pub(crate) fn exp<S: Simd>(x: f32) -> f32 {
    /// Adding it rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LOWEST: f32 = -87.3;
    /// ln 2 = `LN_2_HIGH` + `LN_2_LOW`; the first has so few bits that `n` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Not `max`, which would hide a NaN.
    let clamped = if x < LOWEST { LOWEST } else { x };
    let shifted = S::fma(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = S::fma(n, -LN_2_LOW, S::fma(n, -LN_2_HIGH, clamped));
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = S::fma(p, r, coefficient);
    }
    let power_of_two = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < LOWEST { 0.0 } else { p * power_of_two }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    use crate::isa::Kernel;

    struct Each<'a>(&'a mut [f32]);

    impl Kernel for Each<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, _: S) {
            for value in self.0 {
                *value = exp::<S>(*value);
            }
        }
    }

    #[test]
    fn exponentials_are_within_two_ulp() {
        let x: Vec<f32> = (0..873_000).map(|i| i as f32 * -1e-4).collect();
        for isa in Isa::available() {
            let mut y = x.clone();
            isa.run(Each(&mut y));
            for (&x, &y) in x.iter().zip(&y) {
                let want = f64::from(x).exp();
                let ulp = f64::from(f32::from_bits((want as f32).to_bits() + 1) - want as f32);
                assert!((f64::from(y) - want).abs() <= 2.0 * ulp, "{isa:?} exp({x}) is {y}");
            }
            let mut edges = [0.0, -0.0, -88.0, f32::NEG_INFINITY, f32::NAN];
            isa.run(Each(&mut edges));
            assert_eq!(edges[..4], [1.0, 1.0, 0.0, 0.0]);
            assert!(edges[4].is_nan());
        }
    }
}
