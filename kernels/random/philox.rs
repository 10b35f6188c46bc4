//! Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! 2011), for several counters side by side. A word stands in the lower half of a lane of 64 bits,
//! where a product leaves both its words: the upper one by a shift, the lower one as it is, since
//! nothing looks at the upper halves.

// Constant ranges, which index several arrays at once, unroll best as they stand.
#![allow(clippy::needless_range_loop)]

use crate::Cpu;
use crate::isa::{Kernel, Simd};

/// Counters of a group, whatever the instruction set.
const SIDE: usize = 16;
/// Numbers of one group: four words of each counter.
pub(super) const GROUP: usize = 4 * SIDE;
/// Elements of one block of work: whole groups.
const BLOCK: usize = 256 * GROUP;
/// Beyond it the 32 bits of the counter that tell elements apart would repeat.
const MOST_ELEMENTS: u64 = 1 << 34;

const ROUNDS: usize = 10;
/// The multipliers of the rounds.
const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
/// What the key grows by from a round to the next: the golden ratio and √3 - 1.
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// Which random numbers are meant. Different streams are independent.
///
/// The seed is Philox's key. Its counter is made of the element, the node and the step: element
/// `e` is word `e / 16 % 4` of the counter `[e / 64 * 16 + e % 16, node, step, step >> 32]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    /// The seed of the whole training.
    pub seed: u64,
    /// The step of the training.
    pub step: u64,
    /// Who draws.
    pub node: u32,
}

/// Philox4x32 with ten rounds: four random words from a counter and a key.
pub fn philox4x32(counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    for _ in 0..ROUNDS {
        let first = u64::from(MULTIPLIERS[0]) * u64::from(a);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(c);
        a = (second >> 32) as u32 ^ b ^ key[0];
        b = second as u32;
        c = (first >> 32) as u32 ^ d ^ key[1];
        d = first as u32;
        key = next_key(key);
    }
    [a, b, c, d]
}

fn next_key(key: [u32; 2]) -> [u32; 2] {
    [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])]
}

/// A stream made ready to draw: its counters' upper words and the keys of the rounds.
#[derive(Clone, Copy)]
pub(super) struct Drawer<S> {
    simd: S,
    upper: [u32; 3],
    keys: [[u32; 2]; ROUNDS],
}

impl<S: Simd> Drawer<S> {
    #[inline(always)]
    pub fn new(simd: S, stream: Stream) -> Drawer<S> {
        let mut key = [stream.seed as u32, (stream.seed >> 32) as u32];
        let mut keys = [key; ROUNDS];
        for round in &mut keys {
            *round = key;
            key = next_key(key);
        }
        let upper = [stream.node, stream.step as u32, (stream.step >> 32) as u32];
        Drawer { simd, upper, keys }
    }

    /// The words of `W` vectors of counters from `first` on, in the lower halves of their lanes.
    #[inline(always)]
    fn words<const W: usize>(&self, first: u32) -> [[S::Wide; W]; 4] {
        let simd = self.simd;
        let left = simd.splat_wide(u64::from(MULTIPLIERS[0]));
        let right = simd.splat_wide(u64::from(MULTIPLIERS[1]));
        let mut a = [simd.splat_wide(0); W];
        let mut b = [simd.splat_wide(u64::from(self.upper[0])); W];
        let mut c = [simd.splat_wide(u64::from(self.upper[1])); W];
        let mut d = [simd.splat_wide(u64::from(self.upper[2])); W];
        for v in 0..W {
            a[v] = simd.count_wide(first.wrapping_add((v * S::LANES / 2) as u32));
        }
        for round in 0..ROUNDS {
            let low = simd.splat_wide(u64::from(self.keys[round][0]));
            let high = simd.splat_wide(u64::from(self.keys[round][1]));
            for v in 0..W {
                let first = simd.multiply_lower(left, a[v]);
                let second = simd.multiply_lower(right, c[v]);
                a[v] = simd.xor(simd.xor(simd.upper(second), b[v]), low);
                b[v] = second;
                c[v] = simd.xor(simd.xor(simd.upper(first), d[v]), high);
                d[v] = first;
            }
        }
        [a, b, c, d]
    }

    /// The numbers of the elements from `64 · group` on: normal ones, or uniform in 0..1.
    #[inline(always)]
    pub fn numbers<const NORMAL: bool>(&self, group: u64) -> [f32; GROUP] {
        if NORMAL { self.normals(group) } else { self.uniforms(group) }
    }

    /// 64 numbers in 0..1: those of the elements from `64 · group` on, each the upper 24 bits of
    /// its word.
    #[inline(always)]
    fn uniforms(&self, group: u64) -> [f32; GROUP] {
        let simd = self.simd;
        let (scale, zero) = (simd.splat(1.0 / 16_777_216.0), simd.splat(0.0));
        let mut out = [0.0; GROUP];
        let mut counter = 0;
        while counter < SIDE {
            let first = (group as u32).wrapping_mul(SIDE as u32).wrapping_add(counter as u32);
            let words = self.words::<2>(first);
            for word in 0..4 {
                let numbers = simd.upper_24_of_lower(words[word][0], words[word][1]);
                let numbers = simd.mul_add(numbers, scale, zero);
                simd.store(numbers, &mut out[word * SIDE + counter..]);
            }
            counter += S::LANES;
        }
        out
    }

    /// 64 normal numbers, by the transform of Box and Muller (1958): the first two words of a
    /// counter give a pair, and so do the last two.
    #[inline(always)]
    fn normals(&self, group: u64) -> [f32; GROUP] {
        let mut out = self.uniforms(group);
        for out in out.chunks_exact_mut(2 * SIDE) {
            let (cosines, sines) = out.split_at_mut(SIDE);
            for i in 0..SIDE {
                // In 0 < u ≤ 1, so that the logarithm is finite.
                let u = cosines[i] + 1.0 / 16_777_216.0;
                let radius = (-2.0 * ln(u)).sqrt();
                let (sine, cosine) = sine_cosine_of_turn(sines[i]);
                cosines[i] = radius * cosine;
                sines[i] = radius * sine;
            }
        }
        out
    }
}

/// The natural logarithm of a normal number in 0 < u ≤ 1, to 3e-8 relative: u = 2^n · m with m in
/// √½..√2, and ln m = 2 artanh((m - 1) / (m + 1)) by its Taylor series.
#[inline(always)]
fn ln(u: f32) -> f32 {
    const HALF_ROOT: u32 = 0x3f35_04f3;
    let shifted = (u.to_bits().wrapping_sub(HALF_ROOT) as i32) >> 23;
    let m = f32::from_bits(u.to_bits().wrapping_sub((shifted << 23) as u32));
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = 1.0 / 9.0 * square + 1.0 / 7.0;
    let series = (series * square + 0.2) * square + 1.0 / 3.0;
    shifted as f32 * std::f32::consts::LN_2 + 2.0 * (s + s * square * series)
}

/// Sine and cosine of `2π · turn` for a turn in 0..1, by Taylor series within an eighth of a turn
/// of a quarter.
#[inline(always)]
fn sine_cosine_of_turn(turn: f32) -> (f32, f32) {
    let quarter = (4.0 * turn + 0.5) as i32;
    let x = (turn - 0.25 * quarter as f32) * std::f32::consts::TAU;
    let square = x * x;
    let sine = ((-1.0 / 5040.0 * square + 1.0 / 120.0) * square - 1.0 / 6.0) * square * x + x;
    let cosine = ((1.0 / 40_320.0 * square - 1.0 / 720.0) * square + 1.0 / 24.0) * square;
    let cosine = (cosine - 0.5) * square + 1.0;
    let (s, c) = if quarter & 1 == 0 { (sine, cosine) } else { (cosine, sine) };
    let s = if quarter & 2 == 0 { s } else { -s };
    // The cosine is below 0 in the second and third quarter.
    let c = if (quarter + 1) & 2 == 0 { c } else { -c };
    (s, c)
}

/// Writes the numbers of the elements `start..start + out.len()`.
#[inline(always)]
fn write<S: Simd, const NORMAL: bool>(simd: S, stream: Stream, start: u64, mut out: &mut [f32]) {
    // No closures around vectors: one that is not inlined lacks the instruction set.
    let drawer = Drawer::new(simd, stream);
    let (mut group, mut skip) = (start / GROUP as u64, (start % GROUP as u64) as usize);
    while !out.is_empty() {
        let numbers = drawer.numbers::<NORMAL>(group);
        let count = out.len().min(GROUP - skip);
        let (head, rest) = std::mem::take(&mut out).split_at_mut(count);
        head.copy_from_slice(&numbers[skip..skip + count]);
        (group, skip, out) = (group + 1, 0, rest);
    }
}

struct Fill<'a> {
    stream: Stream,
    start: u64,
    out: &'a mut [f32],
    normal: bool,
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.normal {
            true => write::<S, true>(simd, self.stream, self.start, self.out),
            false => write::<S, false>(simd, self.stream, self.start, self.out),
        }
    }
}

fn fill(cpu: Cpu, stream: Stream, out: &mut [f32], normal: bool) {
    check_count(out.len());
    cpu.pool.for_each_chunk(out, BLOCK, &|index, out| {
        cpu.isa.run(Fill { stream, start: (index * BLOCK) as u64, out, normal });
    });
}

pub(super) fn check_count(count: usize) {
    assert!(count as u64 <= MOST_ELEMENTS, "random: {count} numbers are more than a stream has");
}

/// Writes numbers that are uniform in 0 ≤ u < 1, multiples of 2⁻²⁴.
///
/// # Panics
/// If more than 2³⁴ are asked for.
pub fn uniform(cpu: Cpu, stream: Stream, out: &mut [f32]) {
    fill(cpu, stream, out, false);
}

/// Writes normal numbers of mean 0 and variance 1, of magnitude 5.8 at most. Elements `e` and
/// `e + 16` (with `e % 32 < 16`) come from one pair of uniform numbers.
///
/// # Panics
/// If more than 2³⁴ are asked for.
pub fn normal(cpu: Cpu, stream: Stream, out: &mut [f32]) {
    fill(cpu, stream, out, true);
}
