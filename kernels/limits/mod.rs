//! What the machine can do at most: multiply-adds and reads a second, measured.
//!
//! These are the two limits that a kernel's time is held against (the roofline of Williams,
//! Waterman and Patterson 2009). Each is the best of several rounds in which all threads work at the
//! same time, so that what else the machine does disturbs it least.

mod caches;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

pub use caches::Caches;

use crate::isa::{Isa, Kernel, Simd};

/// Sums that are carried at a time: more than the latency of a multiply-add times the units that do
/// them, and few enough that all stay in the registers of AVX2.
const SUMS: usize = 12;
/// Multiply-adds of each sum in a round: about a millisecond.
const FMA_STEPS: usize = 1 << 19;
/// Rounds of which the best counts.
const ROUNDS: usize = 15;
/// What a thread reads in a round at least.
const ROUND_BYTES: usize = 16 << 20;

/// How many `f32` a line of the cache holds.
const LINE: usize = 16;

/// Floating point operations a second that `threads` threads do together in multiply-adds of `f32`
/// in registers, two for each multiply-add.
///
/// # Panics
/// If this machine does not have `isa`.
pub fn fma_rate(isa: Isa, threads: usize) -> f64 {
    let flops = (2 * SUMS * FMA_STEPS * isa.lanes()) as f64;
    let work = || {
        black_box(isa.run(Fma { steps: FMA_STEPS, factor: black_box(0.5), term: black_box(1.0) }));
    };
    best_rate(threads, flops, &|| work)
}

/// Bytes a second that `threads` threads read together, each from `bytes` of its own, again and
/// again.
///
/// # Panics
/// If this machine does not have `isa`.
pub fn read_rate(isa: Isa, threads: usize, bytes: usize) -> f64 {
    let chunk = SUMS * isa.lanes();
    let len = (bytes / size_of::<f32>()).div_ceil(chunk).max(1) * chunk;
    let passes = (ROUND_BYTES / size_of::<f32>()).div_ceil(len).max(1);
    let read = (len * passes * size_of::<f32>()) as f64;
    best_rate(threads, read, &|| {
        // Not zeros: pages that nobody wrote may all be one.
        let buffer = vec![1.0f32; len + LINE];
        // A vector that lies in two lines of the cache takes two reads.
        let start = buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        move || {
            let from = black_box(&buffer[start..start + len]);
            black_box(isa.run(Read { from, passes }));
        }
    })
}

/// The highest rate of a round in which each of `threads` threads does `amount` at the same time;
/// `prepare` gives what a thread does in a round.
fn best_rate<W: FnMut()>(threads: usize, amount: f64, prepare: &(dyn Fn() -> W + Sync)) -> f64 {
    let threads = threads.max(1);
    let (barrier, amount) = (Barrier::new(threads), amount * threads as f64);
    let rounds = || {
        let mut work = prepare();
        work();
        let taken = (0..ROUNDS).map(|_| {
            barrier.wait();
            let began = Instant::now();
            work();
            barrier.wait();
            began.elapsed().as_secs_f64()
        });
        taken.fold(f64::INFINITY, f64::min)
    };
    let shortest = std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(rounds);
        }
        rounds()
    });
    amount / shortest.max(f64::MIN_POSITIVE)
}

/// Multiply-adds that depend on nothing but their own sum.
struct Fma {
    steps: usize,
    factor: f32,
    term: f32,
}

impl Kernel for Fma {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let (factor, term) = (simd.splat(self.factor), simd.splat(self.term));
        let mut sums = [simd.splat(0.0); SUMS];
        for _ in 0..self.steps {
            for sum in &mut sums {
                *sum = simd.mul_add(*sum, factor, term);
            }
        }
        total(simd, sums)
    }
}

/// Sums of all that a buffer holds, whose length is a multiple of that of all sums.
struct Read<'a> {
    from: &'a [f32],
    passes: usize,
}

impl Kernel for Read<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat(0.0); SUMS];
        for _ in 0..self.passes {
            for chunk in self.from.chunks_exact(SUMS * S::LANES) {
                for (index, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.add(*sum, simd.load(&chunk[index * S::LANES..]));
                }
            }
        }
        total(simd, sums)
    }
}

/// The sum of all lanes, so that none of them is left out.
#[inline(always)]
fn total<S: Simd>(simd: S, sums: [S::Vector; SUMS]) -> f32 {
    let one = sums.into_iter().fold(simd.splat(0.0), |total, sum| simd.add(total, sum));
    let mut lanes = [0.0; 64];
    simd.store(one, &mut lanes);
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_computes_what_it_is_timed_for() {
        for isa in Isa::available() {
            // The sum of halves: 2 - 2^-(steps - 1).
            let fma = isa.run(Fma { steps: 5, factor: 0.5, term: 1.0 });
            assert_eq!(fma, (SUMS * isa.lanes()) as f32 * 1.9375, "{isa:?}");
            let from: Vec<f32> = (0..SUMS * isa.lanes() * 3).map(|index| index as f32).collect();
            let read = isa.run(Read { from: &from, passes: 2 });
            assert_eq!(read, 2.0 * from.iter().sum::<f32>(), "{isa:?}");
        }
    }

    #[test]
    fn rates_are_numbers_for_any_threads_and_sizes() {
        for isa in Isa::available() {
            for threads in [0, 1, 3] {
                let rate = fma_rate(isa, threads);
                assert!(rate.is_finite() && rate > 0.0, "{isa:?}, {threads} threads: {rate}");
            }
            for bytes in [0, 1, 4097, 1 << 16] {
                let rate = read_rate(isa, 2, bytes);
                assert!(rate.is_finite() && rate > 0.0, "{isa:?}, {bytes} bytes: {rate}");
            }
        }
    }
}
