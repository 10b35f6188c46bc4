//! The instruction sets that kernels are compiled for, chosen at run time.

/// An instruction set that the inner loops of kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// What every processor of the target has (SSE2 on x86-64, NEON on AArch64).
    Portable,
    /// AVX2 with FMA: eight lanes of `f32`.
    Avx2,
    /// AVX-512 F, VL, BW and DQ with FMA: sixteen lanes of `f32`.
    Avx512,
}

impl Isa {
    /// The widest instruction set of this machine.
    pub fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq");
            match (avx2, avx512) {
                (true, true) => return Isa::Avx512,
                (true, false) => return Isa::Avx2,
                _ => {}
            }
        }
        Isa::Portable
    }

    /// Every instruction set that this machine can run, the narrowest first.
    pub fn available() -> Vec<Isa> {
        match Isa::detect() {
            Isa::Portable => vec![Isa::Portable],
            Isa::Avx2 => vec![Isa::Portable, Isa::Avx2],
            Isa::Avx512 => vec![Isa::Portable, Isa::Avx2, Isa::Avx512],
        }
    }
}

/// Code that is written once and compiled for each instruction set; see [`Isa::run`].
///
/// Mark `run` and all that it calls in its inner loops `#[inline(always)]`: only what is inlined
/// is compiled with the instruction set's features. Plain loops over slices, without branches,
/// are vectorised by the compiler; register-blocked kernels name their vectors through [`Simd`].
pub trait Kernel {
    /// What the code returns.
    type Output;

    /// The code itself.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

impl Isa {
    /// Runs `kernel` compiled for this instruction set.
    ///
    /// # Panics
    /// If this machine does not have it.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Isa::Portable => kernel.run(PortableLanes(())),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                assert!(Isa::detect() != Isa::Portable, "this machine has no AVX2 with FMA");
                // SAFETY: detected in the line above.
                unsafe { x86::run_avx2(kernel) }
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                assert!(Isa::detect() == Isa::Avx512, "this machine has no AVX-512");
                // SAFETY: detected in the line above.
                unsafe { x86::run_avx512(kernel) }
            }
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => panic!("{self:?} is an x86-64 instruction set"),
        }
    }

    /// How many `f32` a vector of this instruction set holds.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Portable => PortableLanes::LANES,
            Isa::Avx2 => 8,
            Isa::Avx512 => 16,
        }
    }
}

/// Asks for values that will be needed soon, where the target has an instruction for it.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// Vectors of `f32` of one instruction set. A value of this type is the proof that the machine
/// has it: only [`Isa::run`] makes one.
pub trait Simd: Copy + Send + Sync + 'static {
    /// How many `f32` a vector holds.
    const LANES: usize;
    /// How many vectors the registers hold.
    const REGISTERS: usize;
    /// A vector of [`LANES`](Simd::LANES) values.
    type Vector: Copy;

    /// Runs `kernel` as a function of its own, which its callers share, rather than as a part of
    /// each of them.
    fn call<K: Kernel>(self, kernel: K) -> K::Output;
    /// `a * b + c`: in one rounding where the instruction set can, else in two; never a call into
    /// a library.
    fn fma(a: f32, b: f32, c: f32) -> f32;
    /// The same for `f64`.
    fn fma64(a: f64, b: f64, c: f64) -> f64;
    /// A vector of equal values.
    fn splat(self, value: f32) -> Self::Vector;
    /// The first values of a slice. Panics if it is shorter than a vector.
    fn load(self, from: &[f32]) -> Self::Vector;
    /// Writes to the first values of a slice. Panics if it is shorter than a vector.
    fn store(self, vector: Self::Vector, to: &mut [f32]);
    /// `a + b`, lane by lane.
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, lane by lane, rounded as [`fma`](Simd::fma).
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// A vector of half as many `u64`.
    type Wide: Copy;
    /// A vector of equal values.
    fn splat_wide(self, value: u64) -> Self::Wide;
    /// The values `first`, `first + 1`, …, each within 32 bits, where it wraps.
    fn count_wide(self, first: u32) -> Self::Wide;
    /// The products of the lower halves, lane by lane.
    fn multiply_lower(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// The upper halves, shifted down.
    fn upper(self, a: Self::Wide) -> Self::Wide;
    /// `a ^ b`.
    fn xor(self, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// Bits 8 to 31 of every value of a and then of b, as numbers.
    fn upper_24_of_lower(self, a: Self::Wide, b: Self::Wide) -> Self::Vector;
}

/// Lanes for [`Isa::Portable`]; arrays that the compiler keeps in the target's basic vectors.
#[derive(Clone, Copy, Debug)]
pub struct PortableLanes(());

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

#[cfg(target_arch = "x86_64")]
mod x86 {
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
}
