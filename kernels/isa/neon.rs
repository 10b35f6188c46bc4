//! NEON, the vectors of AArch64.
//!
//! A vector here is a pair of registers, so that tiles which are cut for sixteen registers of eight
//! lanes fill all thirty-two, and a single row has eight sums under way rather than four.

use super::{Kernel, Simd};
use std::arch::aarch64::*;

/// # Safety
/// The machine must have NEON.
#[target_feature(enable = "neon")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(NeonLanes(()))
}

/// # Safety
/// As [`run`].
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn call<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(NeonLanes(()))
}

/// Lanes of NEON.
#[derive(Clone, Copy, Debug)]
pub struct NeonLanes(());

impl Simd for NeonLanes {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type Vector = float32x4x2_t;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: `self` exists, so the machine has the instruction set.
        unsafe { call(kernel) }
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
    fn splat(self, value: f32) -> float32x4x2_t {
        // SAFETY: `self` exists, so the machine has the instruction set.
        let half = unsafe { vdupq_n_f32(value) };
        float32x4x2_t(half, half)
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> float32x4x2_t {
        let from = from[..8].as_ptr();
        // SAFETY: as above, and the slice has the length of two registers.
        unsafe { float32x4x2_t(vld1q_f32(from), vld1q_f32(from.add(4))) }
    }
    #[inline(always)]
    fn store(self, vector: float32x4x2_t, to: &mut [f32]) {
        let to = to[..8].as_mut_ptr();
        // SAFETY: as above.
        unsafe {
            vst1q_f32(to, vector.0);
            vst1q_f32(to.add(4), vector.1);
        }
    }
    #[inline(always)]
    fn add(self, a: float32x4x2_t, b: float32x4x2_t) -> float32x4x2_t {
        // SAFETY: `self` exists, so the machine has the instruction set.
        unsafe { float32x4x2_t(vaddq_f32(a.0, b.0), vaddq_f32(a.1, b.1)) }
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4x2_t, b: float32x4x2_t, c: float32x4x2_t) -> float32x4x2_t {
        // SAFETY: `self` exists, so the machine has the instruction set.
        unsafe { float32x4x2_t(vfmaq_f32(c.0, a.0, b.0), vfmaq_f32(c.1, a.1, b.1)) }
    }

    type Wide = uint64x2x2_t;
    #[inline(always)]
    fn splat_wide(self, value: u64) -> uint64x2x2_t {
        // SAFETY: `self` exists, so the machine has the instruction set.
        let half = unsafe { vdupq_n_u64(value) };
        uint64x2x2_t(half, half)
    }
    #[inline(always)]
    fn count_wide(self, first: u32) -> uint64x2x2_t {
        // What runs over into the upper halves is not looked at.
        // SAFETY: as above.
        unsafe {
            let first = vdupq_n_u64(u64::from(first));
            let low = vaddq_u64(first, vcombine_u64(vcreate_u64(0), vcreate_u64(1)));
            uint64x2x2_t(low, vaddq_u64(low, vdupq_n_u64(2)))
        }
    }
    #[inline(always)]
    fn multiply_lower(self, a: uint64x2x2_t, b: uint64x2x2_t) -> uint64x2x2_t {
        // SAFETY: as above.
        unsafe {
            uint64x2x2_t(
                vmull_u32(vmovn_u64(a.0), vmovn_u64(b.0)),
                vmull_u32(vmovn_u64(a.1), vmovn_u64(b.1)),
            )
        }
    }
    #[inline(always)]
    fn upper(self, a: uint64x2x2_t) -> uint64x2x2_t {
        // SAFETY: as above.
        unsafe { uint64x2x2_t(vshrq_n_u64::<32>(a.0), vshrq_n_u64::<32>(a.1)) }
    }
    #[inline(always)]
    fn xor(self, a: uint64x2x2_t, b: uint64x2x2_t) -> uint64x2x2_t {
        // SAFETY: as above.
        unsafe { uint64x2x2_t(veorq_u64(a.0, b.0), veorq_u64(a.1, b.1)) }
    }
    #[inline(always)]
    fn upper_24_of_lower(self, a: uint64x2x2_t, b: uint64x2x2_t) -> float32x4x2_t {
        // SAFETY: as above.
        unsafe { float32x4x2_t(numbers(a), numbers(b)) }
    }
}

/// Bits 8 to 31 of every value, as numbers.
#[inline(always)]
unsafe fn numbers(values: uint64x2x2_t) -> float32x4_t {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (low, high) = (vreinterpretq_u32_u64(values.0), vreinterpretq_u32_u64(values.1));
        vcvtq_f32_u32(vshrq_n_u32::<8>(vuzp1q_u32(low, high)))
    }
}
