//! Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! 2011), for sixteen counters side by side so that the compiler can vectorise the rounds.

use crate::Cpu;
use crate::isa::{Kernel, Simd};

/// Counters that are worked on side by side, whatever the instruction set.
const SIDE: usize = 16;
/// Numbers of one group: four words of each counter.
pub(super) const GROUP: usize = 4 * SIDE;
/// Elements of one block of work: whole groups.
const BLOCK: usize = 256 * GROUP;
/// Beyond it the 32 bits of the counter that tell elements apart would repeat.
const MOST_ELEMENTS: u64 = 1 << 34;

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
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    rounds::<1>(counter.map(|word| [word]), key).map(|[word]| word)
}

#[inline(always)]
fn rounds<const N: usize>(mut words: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for _ in 0..10 {
        let [mut a, mut b, mut c, mut d] = words;
        for i in 0..N {
            let first = u64::from(MULTIPLIERS[0]) * u64::from(a[i]);
            let second = u64::from(MULTIPLIERS[1]) * u64::from(c[i]);
            a[i] = (second >> 32) as u32 ^ b[i] ^ key[0];
            b[i] = second as u32;
            c[i] = (first >> 32) as u32 ^ d[i] ^ key[1];
            d[i] = first as u32;
        }
        words = [a, b, c, d];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    words
}

impl Stream {
    /// The four words of each of the counters of one group.
    #[inline(always)]
    fn words(self, group: u64) -> [[u32; SIDE]; 4] {
        let mut first = [0; SIDE];
        for (i, first) in first.iter_mut().enumerate() {
            *first = (group as u32).wrapping_mul(SIDE as u32).wrapping_add(i as u32);
        }
        let step = [self.step as u32, (self.step >> 32) as u32];
        let counter = [first, [self.node; SIDE], [step[0]; SIDE], [step[1]; SIDE]];
        rounds(counter, [self.seed as u32, (self.seed >> 32) as u32])
    }

    /// 64 numbers in 0..1: those of the elements from `64 · group` on.
    #[inline(always)]
    fn uniform_group(self, group: u64) -> [f32; GROUP] {
        let words = self.words(group);
        let mut out = [0.0; GROUP];
        for (out, words) in out.chunks_exact_mut(SIDE).zip(&words) {
            for (out, &word) in out.iter_mut().zip(words) {
                *out = unit(word);
            }
        }
        out
    }

    /// 64 normal numbers, by the transform of Box and Muller (1958): the first two words of a
    /// counter give a pair, and so do the last two.
    #[inline(always)]
    fn normal_group(self, group: u64) -> [f32; GROUP] {
        let words = self.words(group);
        let mut out = [0.0; GROUP];
        for (out, words) in out.chunks_exact_mut(2 * SIDE).zip(words.chunks_exact(2)) {
            let (cosines, sines) = out.split_at_mut(SIDE);
            for i in 0..SIDE {
                // In 0 < u ≤ 1, so that the logarithm is finite.
                let u = unit(words[0][i]) + 1.0 / 16_777_216.0;
                let radius = (-2.0 * ln(u)).sqrt();
                let (sine, cosine) = sine_cosine_of_turn(unit(words[1][i]));
                cosines[i] = radius * cosine;
                sines[i] = radius * sine;
            }
        }
        out
    }
}

/// The upper 24 bits as a number in 0..1.
#[inline(always)]
fn unit(word: u32) -> f32 {
    // Through `i32`, which every instruction set converts in vectors.
    (word >> 8) as i32 as f32 * (1.0 / 16_777_216.0)
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

/// Writes the uniform numbers of the elements `start..start + out.len()`.
#[inline(always)]
pub(super) fn uniforms(stream: Stream, start: u64, out: &mut [f32]) {
    groups(start, out, |group| stream.uniform_group(group));
}

/// Writes the normal numbers of the elements `start..start + out.len()`.
#[inline(always)]
pub(super) fn normals(stream: Stream, start: u64, out: &mut [f32]) {
    groups(start, out, |group| stream.normal_group(group));
}

/// Cuts whole groups to the elements that are asked for.
#[inline(always)]
fn groups(start: u64, mut out: &mut [f32], numbers: impl Fn(u64) -> [f32; GROUP]) {
    let (mut group, mut skip) = (start / GROUP as u64, (start % GROUP as u64) as usize);
    while !out.is_empty() {
        let numbers = numbers(group);
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
    fn run<S: Simd>(self, _: S) {
        match self.normal {
            true => normals(self.stream, self.start, self.out),
            false => uniforms(self.stream, self.start, self.out),
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
