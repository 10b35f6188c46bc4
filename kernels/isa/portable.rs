//! What every processor of the target has.

use super::{Kernel, Simd};

/// Lanes for [`Isa::Portable`]; arrays that the compiler keeps in the target's basic vectors.
#[derive(Clone, Copy, Debug)]
pub struct PortableLanes(pub(super) ());

/// AArch64 has fused multiply-add everywhere; x86-64 without AVX2 would call a slow library.
const PORTABLE_FMA: bool = cfg!(target_arch = "aarch64");

impl Simd for PortableLanes {
    const LANES: usize = 4;
    const REGISTERS: usize = if cfg!(target_arch = "aarch64") { 32 } else { 16 };
    type Vector = [f32; 4];

    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        if PORTABLE_FMA { a.mul_add(b, c) } else { a * b + c }
    }
    #[inline(always)]
    fn fma64(a: f64, b: f64, c: f64) -> f64 {
        if PORTABLE_FMA { a.mul_add(b, c) } else { a * b + c }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 4] {
        [from[0], from[1], from[2], from[3]]
    }
    #[inline(always)]
    fn store(self, vector: [f32; 4], to: &mut [f32]) {
        to[..4].copy_from_slice(&vector);
    }
    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }
    #[inline(always)]
    fn mul_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        [
            Self::fma(a[0], b[0], c[0]),
            Self::fma(a[1], b[1], c[1]),
            Self::fma(a[2], b[2], c[2]),
            Self::fma(a[3], b[3], c[3]),
        ]
    }

    type Wide = [u64; 2];
    #[inline(always)]
    fn splat_wide(self, value: u64) -> [u64; 2] {
        [value; 2]
    }
    #[inline(always)]
    fn count_wide(self, first: u32) -> [u64; 2] {
        [u64::from(first), u64::from(first.wrapping_add(1))]
    }
    #[inline(always)]
    fn multiply_lower(self, a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
        const LOWER: u64 = u32::MAX as u64;
        [(a[0] & LOWER) * (b[0] & LOWER), (a[1] & LOWER) * (b[1] & LOWER)]
    }
    #[inline(always)]
    fn upper(self, a: [u64; 2]) -> [u64; 2] {
        [a[0] >> 32, a[1] >> 32]
    }
    #[inline(always)]
    fn xor(self, a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
        [a[0] ^ b[0], a[1] ^ b[1]]
    }
    #[inline(always)]
    fn upper_24_of_lower(self, a: [u64; 2], b: [u64; 2]) -> [f32; 4] {
        // Through `i32`, which every instruction set converts in vectors.
        let number = |value: u64| (value as u32 >> 8) as i32 as f32;
        [number(a[0]), number(a[1]), number(b[0]), number(b[1])]
    }
}
