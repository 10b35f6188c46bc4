//! Sums for each channel, by blocks that the shape decides, added in their order.

use super::{BatchNormShape, COUNT_EPSILON, Steps};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};

/// Elements of one block, roughly.
const BLOCK: usize = 16 * 1024;
/// Entries of `outer` in one block at most, so that sums in single precision stay short.
const MOST_ENTRIES: usize = 256;
/// Partial sums of a run, side by side.
const LANES: usize = 16;

/// Entries of `outer` in one block.
pub(super) fn group(shape: &BatchNormShape) -> usize {
    (BLOCK / (shape.channels * shape.inner).max(1)).clamp(1, MOST_ENTRIES)
}

pub(super) fn blocks(shape: &BatchNormShape) -> usize {
    shape.outer.div_ceil(group(shape))
}

/// Two values from one of x, one of the other tensor and the channel's mean; see [`sums`].
pub(super) trait Term: Copy + Sync {
    fn term(self, x: f32, other: f32, mean: f32) -> [f32; 2];
}

impl<F: Fn(f32, f32, f32) -> [f32; 2] + Copy + Sync> Term for F {
    #[inline(always)]
    fn term(self, x: f32, other: f32, mean: f32) -> [f32; 2] {
        self(x, other, mean)
    }
}

/// What is summed over.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a, F> {
    pub(super) shape: BatchNormShape,
    pub(super) x: &'a [f32],
    /// A second tensor of the same shape.
    pub(super) other: &'a [f32],
    /// The mean of each channel.
    pub(super) mean: &'a [f32],
    /// What counts; all if absent.
    pub(super) steps: Option<Steps<'a>>,
    pub(super) term: F,
}

/// Writes, for each channel, the sums of both values of the terms into `partial`, block by block
/// `[blocks, 2, channels]`.
pub(super) fn sums<F: Term>(cpu: Cpu, terms: Terms<F>, partial: &mut [f32]) {
    let shape = terms.shape;
    let entry = shape.channels * shape.inner;
    let group = group(&shape);
    cpu.pool.for_each_chunk(partial, 2 * shape.channels, &|block, sums| {
        let start = block * group * entry;
        let end = terms.x.len().min(start + group * entry);
        cpu.isa.run(Block { terms, start, end, sums });
    });
}

/// The sum over the blocks of value `which` for a channel, in double precision.
pub(super) fn total(partial: &[f32], which: usize, channel: usize, channels: usize) -> f64 {
    let lines = partial.chunks_exact(2 * channels);
    lines.map(|line| f64::from(line[which * channels + channel])).sum()
}

struct Block<'a, F> {
    terms: Terms<'a, F>,
    start: usize,
    end: usize,
    sums: &'a mut [f32],
}

impl<F: Term> Kernel for Block<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Block { terms, start, end, sums } = self;
        let Terms { shape, x, other, mean, steps, term } = terms;
        let BatchNormShape { channels, inner, .. } = shape;
        sums.fill(0.0);
        let (first, second) = sums.split_at_mut(channels);
        let step = steps.map_or(shape.run(), |steps| steps.repeat);
        for at in (start..end).step_by(step.max(1)) {
            if steps.is_some_and(|steps| steps.mask[at / steps.repeat] == 0) {
                continue;
            }
            let (x, other) = (&x[at..at + step], &other[at..at + step]);
            let channel = at / inner % channels;
            if inner == 1 {
                let range = channel..channel + step;
                let sums = first[range.clone()].iter_mut().zip(&mut second[range.clone()]);
                let values = x.iter().zip(other).zip(&mean[range]);
                for ((first, second), ((&x, &other), &mean)) in sums.zip(values) {
                    let [a, b] = term.term(x, other, mean);
                    *first += a;
                    *second += b;
                }
            } else {
                let [a, b] = run(x, other, |x, other| term.term(x, other, mean[channel]));
                first[channel] += a;
                second[channel] += b;
            }
        }
    }
}

/// Both sums over neighbours of one channel.
#[inline(always)]
fn run(x: &[f32], other: &[f32], term: impl Fn(f32, f32) -> [f32; 2]) -> [f32; 2] {
    let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
    for (x, other) in x.chunks(LANES).zip(other.chunks(LANES)) {
        let sums = first.iter_mut().zip(&mut second);
        for ((first, second), (&x, &other)) in sums.zip(x.iter().zip(other)) {
            let [a, b] = term(x, other);
            *first += a;
            *second += b;
        }
    }
    [first.iter().sum(), second.iter().sum()]
}

/// How many elements of each channel count; with a mask Keras adds [`COUNT_EPSILON`].
pub(super) fn counts(shape: &BatchNormShape, steps: Option<Steps>, out: &mut [f32]) {
    let Some(Steps { mask, repeat }) = steps else {
        return out.fill((shape.outer * shape.inner) as f32);
    };
    out.fill(0.0);
    for (index, _) in mask.iter().enumerate().filter(|(_, keep)| **keep != 0) {
        let channel = index * repeat / shape.inner % shape.channels;
        match shape.inner {
            1 => out[channel..channel + repeat].iter_mut().for_each(|count| *count += 1.0),
            _ => out[channel] += repeat as f32,
        }
    }
    out.iter_mut().for_each(|count| *count += COUNT_EPSILON);
}

/// Calls `work` with each run of elements that share what is constant: the range of its elements
/// and its first channel. Blocks are those of the sums.
pub(super) fn for_each_run(
    cpu: Cpu,
    shape: BatchNormShape,
    out: &mut [f32],
    work: impl Fn(usize, usize, &mut [f32]) + Sync,
) {
    let entry = shape.channels * shape.inner;
    let parts = DisjointMut::new(out);
    let group = group(&shape);
    cpu.pool.for_each(blocks(&shape), &|block| {
        let range = block * group * entry..shape.len().min((block + 1) * group * entry);
        // SAFETY: blocks write disjoint entries.
        let part = unsafe { parts.slice(range.clone()) };
        for (index, part) in part.chunks_exact_mut(shape.run()).enumerate() {
            let at = range.start + index * shape.run();
            work(at, at / shape.inner % shape.channels, part);
        }
    });
}
