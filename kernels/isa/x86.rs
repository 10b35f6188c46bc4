//! The instruction sets of x86-64.

use super::{Kernel, Simd};
use std::arch::x86_64::*;

/// # Safety
/// The machine must have AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2Lanes(()))
}

/// # Safety
/// The machine must have AVX2, FMA and AVX-512 F, VL, BW and DQ.
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
pub(super) unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512Lanes(()))
}

/// # Safety
/// As [`run_avx2`].
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn call_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2Lanes(()))
}

/// # Safety
/// As [`run_avx512`].
#[inline(never)]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")]
unsafe fn call_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512Lanes(()))
}

/// Lanes of AVX2.
#[derive(Clone, Copy, Debug)]
pub struct Avx2Lanes(());

/// Lanes of AVX-512.
#[derive(Clone, Copy, Debug)]
pub struct Avx512Lanes(());

macro_rules! simd {
    ($name:ident, $call:ident, $lanes:literal, $registers:literal, $vector:ty, $splat:ident, $load:ident, $store:ident,
     $add:ident, $fma:ident, $wide:ty, $splat_wide:ident, $add_wide:ident, $mul_wide:ident,
     $shift_wide:ident, $xor_wide:ident, $count:ident, $numbers:ident) => {
        impl Simd for $name {
            const LANES: usize = $lanes;
            const REGISTERS: usize = $registers;
            type Vector = $vector;

            #[inline(always)]
            fn call<K: Kernel>(self, kernel: K) -> K::Output {
                // SAFETY: `self` exists, so the machine has the instruction set.
                unsafe { $call(kernel) }
            }
            #[inline(always)]
            fn fma(a: f32, b: f32, c: f32) -> f32 {
                a.mul_add(b, c)
            }
            #[inline(always)]
            fn fma64(a: f64, b: f64, c: f64) -> f64 {
                a.mul_add(b, c)
            }
            #[inline(always)]
            fn splat(self, value: f32) -> $vector {
                // SAFETY: `self` exists, so the machine has the instruction set.
                unsafe { $splat(value) }
            }
            #[inline(always)]
            fn load(self, from: &[f32]) -> $vector {
                let from = &from[..$lanes];
                // SAFETY: as above, and the slice has the length of a vector.
                unsafe { $load(from.as_ptr()) }
            }
            #[inline(always)]
            fn store(self, vector: $vector, to: &mut [f32]) {
                let to = &mut to[..$lanes];
                // SAFETY: as above.
                unsafe { $store(to.as_mut_ptr(), vector) }
            }
            #[inline(always)]
            fn add(self, a: $vector, b: $vector) -> $vector {
                // SAFETY: `self` exists, so the machine has the instruction set.
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            fn mul_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                // SAFETY: `self` exists, so the machine has the instruction set.
                unsafe { $fma(a, b, c) }
            }

            type Wide = $wide;
            #[inline(always)]
            fn splat_wide(self, value: u64) -> $wide {
                // SAFETY: `self` exists, so the machine has the instruction set.
                unsafe { $splat_wide(value as i64) }
            }
            #[inline(always)]
            fn count_wide(self, first: u32) -> $wide {
                // What runs over into the upper halves is not looked at.
                // SAFETY: as above.
                unsafe { $add_wide($splat_wide(i64::from(first)), $count()) }
            }
            #[inline(always)]
            fn multiply_lower(self, a: $wide, b: $wide) -> $wide {
                // SAFETY: as above.
                unsafe { $mul_wide(a, b) }
            }
            #[inline(always)]
            fn upper(self, a: $wide) -> $wide {
                // SAFETY: as above.
                unsafe { $shift_wide::<32>(a) }
            }
            #[inline(always)]
            fn xor(self, a: $wide, b: $wide) -> $wide {
                // SAFETY: as above.
                unsafe { $xor_wide(a, b) }
            }
            #[inline(always)]
            fn upper_24_of_lower(self, a: $wide, b: $wide) -> $vector {
                // SAFETY: as above.
                unsafe { $numbers(a, b) }
            }
        }
    };
}

/// 0 to 3.
#[inline(always)]
unsafe fn count4() -> __m256i {
    // SAFETY: the caller has the instruction set.
    unsafe { _mm256_setr_epi64x(0, 1, 2, 3) }
}

/// 0 to 7.
#[inline(always)]
unsafe fn count8() -> __m512i {
    // SAFETY: the caller has the instruction set.
    unsafe { _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7) }
}

/// See [`Simd::upper_24_of_lower`].
#[inline(always)]
unsafe fn numbers8(a: __m256i, b: __m256i) -> __m256 {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
        let lower = _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(a, b));
        let ordered = _mm256_permute4x64_epi64::<0xd8>(lower);
        _mm256_cvtepi32_ps(_mm256_srli_epi32::<8>(ordered))
    }
}

/// See [`Simd::upper_24_of_lower`].
#[inline(always)]
unsafe fn numbers16(a: __m512i, b: __m512i) -> __m512 {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (a, b) = (_mm512_cvtepi64_epi32(a), _mm512_cvtepi64_epi32(b));
        let all = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b);
        _mm512_cvtepi32_ps(_mm512_srli_epi32::<8>(all))
    }
}

simd!(
    Avx2Lanes,
    call_avx2,
    8,
    16,
    __m256,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_fmadd_ps,
    __m256i,
    _mm256_set1_epi64x,
    _mm256_add_epi64,
    _mm256_mul_epu32,
    _mm256_srli_epi64,
    _mm256_xor_si256,
    count4,
    numbers8
);
simd!(
    Avx512Lanes,
    call_avx512,
    16,
    32,
    __m512,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_fmadd_ps,
    __m512i,
    _mm512_set1_epi64,
    _mm512_add_epi64,
    _mm512_mul_epu32,
    _mm512_srli_epi64,
    _mm512_xor_si512,
    count8,
    numbers16
);
