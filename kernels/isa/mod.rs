//! The instruction sets that kernels are compiled for, chosen at run time.

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use portable::PortableLanes;

/// An instruction set that the inner loops of kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// What every processor of the target has (SSE2 on x86-64, NEON on AArch64).
    Portable,
    /// NEON (Advanced SIMD) of AArch64: eight lanes of `f32` in pairs of registers.
    Neon,
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
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            return Isa::Neon;
        }
        Isa::Portable
    }

    /// Every instruction set that this machine can run, the narrowest first.
    pub fn available() -> Vec<Isa> {
        match Isa::detect() {
            Isa::Portable => vec![Isa::Portable],
            Isa::Neon => vec![Isa::Portable, Isa::Neon],
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
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => {
                assert!(Isa::detect() == Isa::Neon, "this machine has no NEON");
                // SAFETY: detected in the line above.
                unsafe { neon::run(kernel) }
            }
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => panic!("{self:?} is an x86-64 instruction set"),
            #[cfg(not(target_arch = "aarch64"))]
            Isa::Neon => panic!("{self:?} is an AArch64 instruction set"),
        }
    }

    /// How many `f32` a vector of this instruction set holds.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Portable => PortableLanes::LANES,
            Isa::Neon | Isa::Avx2 => 8,
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
    #[cfg(target_arch = "aarch64")]
    for line in values.chunks(16) {
        // SAFETY: every AArch64 processor has the instruction; it changes no value and no flag.
        unsafe {
            std::arch::asm!(
                "prfm pldl2keep, [{line}]",
                line = in(reg) line.as_ptr(),
                options(nostack, preserves_flags, readonly)
            );
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
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
