//! What the tests of kernels share: numbers, pools and comparisons.

use crate::{Cpu, Isa, Pool};
use std::sync::OnceLock;

/// A value that can be compared to the bit.
pub(crate) trait Bits: Copy + Send {
    /// The bits of the value, widened.
    fn bits(self) -> u64;
}

impl Bits for f32 {
    fn bits(self) -> u64 {
        self.to_bits().into()
    }
}

macro_rules! integer_bits {
    ($($t:ty),*) => {$(
        impl Bits for $t {
            fn bits(self) -> u64 {
                self as u64
            }
        }
    )*};
}
integer_bits!(i32, i64, u8, u64, usize);

/// Runs `call` under every instruction set with 1, 2 and 5 threads, checks that the threads do
/// not change a bit of the result, and gives the result of each instruction set.
pub(crate) fn each_isa<T: Bits>(call: impl Fn(Cpu) -> Vec<T>) -> Vec<(Isa, Vec<T>)> {
    static POOLS: OnceLock<[Pool; 3]> = OnceLock::new();
    let pools = POOLS.get_or_init(|| [Pool::new(1), Pool::new(2), Pool::new(5)]);
    let bits = |values: &[T]| values.iter().map(|v| v.bits()).collect::<Vec<_>>();
    Isa::available()
        .into_iter()
        .map(|isa| {
            let first = call(Cpu { isa, pool: &pools[0] });
            for pool in &pools[1..] {
                let other = call(Cpu { isa, pool });
                assert!(bits(&first) == bits(&other), "{isa:?}: threads change the bits");
            }
            (isa, first)
        })
        .collect()
}

/// Repeatable numbers in -1..1, told apart by `seed`.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    integers(count, seed, 1 << 24).iter().map(|&v| v as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// Repeatable integers in 0..`below`, told apart by `seed`.
pub(crate) fn integers(count: usize, seed: u64, below: u64) -> Vec<i64> {
    // SplitMix64 (Steele, Lea and Flood, 2014).
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(|_| (next() % below) as i64).collect()
}

/// Asserts that each of `got` is within `tolerance` (absolute plus relative) of `want`; NaN
/// equals NaN.
pub(crate) fn assert_close(got: &[f32], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let g = f64::from(g);
        let near = (g - w).abs() <= tolerance * (1.0 + w.abs());
        assert!(near || g == w || (g.is_nan() && w.is_nan()), "{what}: [{i}] is {g}, not {w}");
    }
}

/// The same numbers in double precision.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

/// Asserts that `got` is the gradient of `Σ dy · f(x)` by `x`: its central differences, within 1e-6
/// of the largest of them.
pub(crate) fn assert_gradient(
    x: &[f64],
    dy: &[f64],
    f: impl Fn(&[f64]) -> Vec<f64>,
    got: &[f64],
    what: &str,
) {
    const STEP: f64 = 1e-5;
    let loss = |i: usize, by: f64| -> f64 {
        let mut x = x.to_vec();
        x[i] += by;
        f(&x).iter().zip(dy).map(|(y, dy)| y * dy).sum()
    };
    let difference = |i| (loss(i, STEP) - loss(i, -STEP)) / (2.0 * STEP);
    let want: Vec<f64> = (0..x.len()).map(difference).collect();
    assert_eq!(got.len(), want.len(), "{what}: length");
    let largest = want.iter().fold(1e-3, |max: f64, want| max.max(want.abs()));
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let near = (got - want).abs() <= 1e-6 * largest;
        assert!(near, "{what}: the gradient of [{i}] is {want}, not {got}");
    }
}
