//! The form without weights: a running softmax over tiles of keys, with queries in the lanes.
//!
//! A block is up to [`QUERIES`] queries of one head. Their scores stand transposed, `[keys,
//! queries]`, so that the statistics of the softmax are element-wise loops over keys, without
//! sums across a vector, and so that keys and values are read where they stand: the scores are
//! the product of the keys with the transposed queries, and the output that of the transposed
//! weights with the values. Keys come in tiles of [`KEYS`]; after each the largest score so far
//! may grow, and what was summed shrinks by the same factor (Milakov and Gimelshein, "Online
//! normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", 2022).

use super::{AttentionCall, AttentionShape, MaskedRow, Row};
use crate::isa::{Kernel, Simd};
use crate::lanes;
use crate::tile::{self, Left, Out, Right, Start};
use crate::{Cpu, DisjointMut, Isa};
use std::ops::Range;

/// Queries of a block.
const QUERIES: usize = 32;
/// Keys of a tile: their scores fill half of a usual first cache.
const KEYS: usize = 192;
/// Blocks share so many rooms to work in, in turns.
const ROOMS: usize = 32;

/// Whether this form has the call: it adds nothing to scores, and masks leave keys out.
pub(super) fn suits(call: &AttentionCall) -> bool {
    call.bias.is_none() && has_rule(call.masked_row)
}

/// Whether this form has the rule for queries without a key.
pub(super) fn has_rule(masked_row: MaskedRow) -> bool {
    masked_row != MaskedRow::Lowered
}

/// Where the parts of a room lie: the scaled and transposed queries, scores, transposed sums.
#[derive(Clone, Copy, Debug)]
struct Room {
    scores: usize,
    sums: usize,
    len: usize,
}

impl Room {
    fn new(shape: &AttentionShape) -> Room {
        let scores = shape.dim * QUERIES;
        let sums = scores + KEYS * QUERIES;
        Room { scores, sums, len: sums + shape.value_dim * QUERIES }
    }
}

/// How many values of workspace [`forward`] needs.
pub(super) fn workspace_len(shape: &AttentionShape) -> usize {
    blocks(shape).min(ROOMS) * Room::new(shape).len
}

fn blocks(shape: &AttentionShape) -> usize {
    shape.batch * shape.heads * shape.queries.div_ceil(QUERIES)
}

/// Writes the output of a call whose lengths were checked.
pub(super) fn forward(cpu: Cpu, call: &AttentionCall, output: &mut [f32], workspace: &mut [f32]) {
    let shape = call.shape;
    let room = Room::new(&shape);
    let (blocks, strips) = (blocks(&shape), shape.queries.div_ceil(QUERIES));
    let rooms = blocks.min(ROOMS);
    let (output, workspace) = (DisjointMut::new(output), DisjointMut::new(workspace));
    cpu.pool.for_each(rooms, &|index| {
        // SAFETY: each room has a part of its own.
        let part = unsafe { workspace.slice(index * room.len..(index + 1) * room.len) };
        let (queries, rest) = part.split_at_mut(room.scores);
        let (scores, sums) = rest.split_at_mut(room.sums - room.scores);
        for block in (index..blocks).step_by(rooms) {
            let (plane, strip) = (block / strips, block % strips);
            let first = strip * QUERIES;
            cpu.isa.run(Block {
                isa: cpu.isa,
                call,
                batch: plane / shape.heads,
                head: plane % shape.heads,
                queries: first..shape.queries.min(first + QUERIES),
                transposed: queries,
                scores,
                sums,
                output,
            });
        }
    });
}

/// Some queries of one head.
struct Block<'a> {
    isa: Isa,
    call: &'a AttentionCall<'a>,
    batch: usize,
    head: usize,
    queries: Range<usize>,
    /// `[dim, QUERIES]`.
    transposed: &'a mut [f32],
    /// `[KEYS, QUERIES]`.
    scores: &'a mut [f32],
    /// `[value_dim, QUERIES]`, where the sums are made transposed.
    sums: &'a mut [f32],
    output: DisjointMut<'a, f32>,
}

/// What is known of the softmax of each query so far.
struct Statistics {
    /// The largest score.
    max: [f32; QUERIES],
    /// The sum of the exponentials.
    sum: [f32; QUERIES],
    /// What the sums of earlier tiles are to be multiplied with.
    shrink: [f32; QUERIES],
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) {
        match self.queries.len() > QUERIES / 2 {
            true => self.attend::<S, QUERIES>(),
            false => self.attend::<S, { QUERIES / 2 }>(),
        }
    }
}

impl Block<'_> {
    /// `WIDTH` lanes of queries are computed.
    #[inline(always)]
    fn attend<S: Simd, const WIDTH: usize>(&mut self) {
        let shape = self.call.shape;
        let mut statistics = Statistics {
            max: [f32::NEG_INFINITY; QUERIES],
            sum: [0.0; QUERIES],
            shrink: [1.0; QUERIES],
        };
        // In the output's own order where its rows are whole vectors.
        let straight = shape.value_dim.is_multiple_of(S::LANES);
        self.transpose::<WIDTH>();
        let reach = self.reach();
        let mut first = true;
        for start in reach.clone().step_by(KEYS) {
            let keys = start..reach.end.min(start + KEYS);
            self.products::<WIDTH>(keys.clone());
            self.leave_out::<WIDTH>(keys.clone());
            self.weigh::<S, WIDTH>(keys.len(), &mut statistics);
            match straight {
                true => self.add(keys, &statistics, first),
                false => self.add_transposed::<WIDTH>(keys, &statistics, first),
            }
            first = false;
        }
        self.finish(&statistics, straight, first);
    }

    /// Where the values of a query of the output stand.
    #[inline(always)]
    fn output_row(&self, query: usize) -> Range<usize> {
        let AttentionShape { queries, heads, value_dim, .. } = self.call.shape;
        let start = ((self.batch * queries + query) * heads + self.head) * value_dim;
        start..start + value_dim
    }

    /// Where the head's values begin in keys or values of `dim` features, and how far they lie
    /// apart from a key to the next.
    #[inline(always)]
    fn plane(&self, dim: usize) -> (usize, usize) {
        let AttentionShape { keys, heads, kv_heads, .. } = self.call.shape;
        let kv_head = self.head / (heads / kv_heads);
        ((self.batch * keys * kv_heads + kv_head) * dim, kv_heads * dim)
    }

    /// The keys to which any of the queries attends, by causality and window.
    #[inline(always)]
    fn reach(&self) -> Range<usize> {
        let (mut start, mut end) = (self.call.shape.keys, 0);
        for query in self.queries.clone() {
            let reach = self.call.reach(query);
            if !reach.is_empty() {
                (start, end) = (start.min(reach.start), end.max(reach.end));
            }
        }
        start.min(end)..end
    }

    /// Puts the scaled queries across the lanes; lanes without a query hold 0.
    #[inline(always)]
    fn transpose<const WIDTH: usize>(&mut self) {
        let AttentionShape { queries, heads, dim, .. } = self.call.shape;
        let scale = self.call.scale;
        let first = ((self.batch * queries + self.queries.start) * heads + self.head) * dim;
        let (from, stride) = (&self.call.query[first.min(self.call.query.len())..], heads * dim);
        let count = self.queries.len();
        transposed(from, stride, count, dim, WIDTH, scale, self.transposed);
    }

    /// The scores of some keys.
    fn products<const WIDTH: usize>(&mut self, keys: Range<usize>) {
        let dim = self.call.shape.dim;
        let (plane, row_stride) = self.plane(dim);
        let values = &self.call.key[plane + keys.start * row_stride..];
        let left = Left { values, rows: keys.len(), depth: dim, row_stride, depth_stride: 1 };
        let right =
            Right { values: self.transposed, stride: QUERIES, columns: WIDTH, panels: None };
        let values = DisjointMut::new(self.scores);
        let out = Out { values, start: 0, stride: QUERIES, relu: false };
        // SAFETY: the scores are this block's.
        unsafe { tile::multiply(self.isa, left, right, Start::Zero, out) };
    }

    /// Takes keys out that queries must not attend to.
    #[inline(always)]
    fn leave_out<const WIDTH: usize>(&mut self, keys: Range<usize>) {
        let shape = self.call.shape;
        if self.call.mask.is_none() && !self.call.causal && self.call.sliding_window.is_none() {
            return;
        }
        // A bit for each query, in bytes: a vector has four times as many of them as of scores.
        let mut open = [[0u8; KEYS]; QUERIES / 8];
        for (lane, query) in self.queries.clone().enumerate() {
            let reach = self.call.reach(query);
            let start = reach.start.clamp(keys.start, keys.end);
            let reach = start - keys.start..reach.end.clamp(start, keys.end) - keys.start;
            let row = self.call.mask.map(|m| m.row(self.batch, self.head, query, shape.keys));
            let (some, bit) = (&mut open[lane / 8][reach.clone()], 1u8 << (lane % 8));
            match row {
                None => some.iter_mut().for_each(|bits| *bits |= bit),
                Some(Row::One(&mask)) => {
                    let bit = if mask != 0 { bit } else { 0 };
                    some.iter_mut().for_each(|bits| *bits |= bit);
                }
                Some(Row::Each(mask)) => {
                    let mask = &mask[keys.start + reach.start..keys.start + reach.end];
                    for (bits, &mask) in some.iter_mut().zip(mask) {
                        *bits |= if mask != 0 { bit } else { 0 };
                    }
                }
            }
        }
        let all = u32::MAX >> (QUERIES - self.queries.len());
        let rows = self.scores.as_chunks_mut::<QUERIES>().0;
        for (key, row) in rows.iter_mut().enumerate().take(keys.len()) {
            let open = u32::from_le_bytes([open[0][key], open[1][key], open[2][key], open[3][key]]);
            if open != all {
                for (lane, score) in row[..WIDTH].iter_mut().enumerate() {
                    // All bits, or none: a choice between two values would become a branch.
                    let kept = 0u32.wrapping_sub((open >> lane) & 1);
                    let out = f32::NEG_INFINITY.to_bits();
                    *score = f32::from_bits((score.to_bits() & kept) | (out & !kept));
                }
            }
        }
    }

    /// Turns the scores of `keys` keys into exponentials of what they lie below the largest.
    #[inline(always)]
    fn weigh<S: Simd, const WIDTH: usize>(&mut self, keys: usize, statistics: &mut Statistics) {
        let (rows, _) = self.scores.as_chunks_mut::<QUERIES>();
        let rows = &mut rows[..keys];
        let mut max = [0.0; WIDTH];
        max.copy_from_slice(&statistics.max[..WIDTH]);
        for row in &*rows {
            for (max, &score) in max.iter_mut().zip(row) {
                *max = if score > *max { score } else { *max };
            }
        }
        let mut shift = [0.0; WIDTH];
        for (lane, shift) in shift.iter_mut().enumerate() {
            // Where there is no key yet, −∞ less −∞ must not become NaN.
            *shift = if max[lane] == f32::NEG_INFINITY { 0.0 } else { max[lane] };
            statistics.shrink[lane] = lanes::exp::<S>(statistics.max[lane] - *shift);
            statistics.max[lane] = max[lane];
        }
        let mut sum = [0.0; WIDTH];
        for row in rows {
            for ((score, &shift), sum) in row.iter_mut().zip(&shift).zip(&mut sum) {
                *score = lanes::exp::<S>(*score - shift);
                *sum += *score;
            }
        }
        for (lane, sum) in sum.into_iter().enumerate() {
            statistics.sum[lane] = S::fma(statistics.sum[lane], statistics.shrink[lane], sum);
        }
    }

    /// Adds the weighted values of some keys to the output.
    #[inline(always)]
    fn add(&mut self, keys: Range<usize>, statistics: &Statistics, first: bool) {
        let AttentionShape { heads, value_dim, .. } = self.call.shape;
        if value_dim == 0 {
            return;
        }
        if !first {
            for (lane, query) in self.queries.clone().enumerate() {
                // SAFETY: each row of the output belongs to one query and head of one block.
                let row = unsafe { self.output.slice(self.output_row(query)) };
                row.iter_mut().for_each(|value| *value *= statistics.shrink[lane]);
            }
        }
        let (plane, stride) = self.plane(value_dim);
        let left = Left {
            values: self.scores,
            rows: self.queries.len(),
            depth: keys.len(),
            row_stride: 1,
            depth_stride: QUERIES,
        };
        let values = &self.call.value[plane + keys.start * stride..];
        let right = Right { values, stride, columns: value_dim, panels: None };
        let start = self.output_row(self.queries.start).start;
        let out = Out { values: self.output, start, stride: heads * value_dim, relu: false };
        // SAFETY: as above.
        unsafe { tile::multiply(self.isa, left, right, before(first), out) };
    }

    /// The same into the transposed sums.
    #[inline(always)]
    fn add_transposed<const WIDTH: usize>(
        &mut self,
        keys: Range<usize>,
        statistics: &Statistics,
        first: bool,
    ) {
        let value_dim = self.call.shape.value_dim;
        if !first {
            for row in self.sums.chunks_exact_mut(QUERIES) {
                let row = row.iter_mut().zip(&statistics.shrink);
                row.for_each(|(sum, &shrink)| *sum *= shrink);
            }
        }
        let (plane, depth_stride) = self.plane(value_dim);
        let values = &self.call.value[plane + keys.start * depth_stride..];
        let left = Left { values, rows: value_dim, depth: keys.len(), row_stride: 1, depth_stride };
        let right = Right { values: self.scores, stride: QUERIES, columns: WIDTH, panels: None };
        let out = DisjointMut::new(self.sums);
        let out = Out { values: out, start: 0, stride: QUERIES, relu: false };
        // SAFETY: the sums are this block's.
        unsafe { tile::multiply(self.isa, left, right, before(first), out) };
    }

    /// Divides by the sums of the weights, and fills the rows of queries without a key.
    #[inline(always)]
    fn finish(&mut self, statistics: &Statistics, straight: bool, empty: bool) {
        for (lane, query) in self.queries.clone().enumerate() {
            let range = self.output_row(query);
            // SAFETY: each row of the output belongs to one query and head of one block.
            let row = unsafe { self.output.slice(range) };
            if empty || statistics.max[lane] == f32::NEG_INFINITY {
                self.fill(row);
                continue;
            }
            let scale = 1.0 / statistics.sum[lane];
            if straight {
                row.iter_mut().for_each(|value| *value *= scale);
            } else {
                let sums = self.sums[lane..].iter().step_by(QUERIES);
                row.iter_mut().zip(sums).for_each(|(value, &sum)| *value = sum * scale);
            }
        }
    }

    /// Writes what a query gives that may attend to no key.
    #[cold]
    fn fill(&self, row: &mut [f32]) {
        let AttentionShape { keys, value_dim, .. } = self.call.shape;
        let rule = self.call.masked_row;
        row.fill(if rule == MaskedRow::Nan && keys > 0 { f32::NAN } else { 0.0 });
        if rule != MaskedRow::Uniform || keys == 0 {
            return;
        }
        let (plane, stride) = self.plane(value_dim);
        for key in 0..keys {
            let values = &self.call.value[plane + key * stride..][..value_dim];
            row.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
        }
        row.iter_mut().for_each(|sum| *sum /= keys as f32);
    }
}

/// What the sums of a tile begin with.
#[inline(always)]
fn before(first: bool) -> Start<'static> {
    if first { Start::Zero } else { Start::Output }
}

/// Writes `scale` times rows of `dim` values, `stride` apart, as columns of `out`, whose rows are
/// [`QUERIES`] apart; columns from `count` to `width` become 0.
#[inline(always)]
fn transposed(
    from: &[f32],
    stride: usize,
    count: usize,
    dim: usize,
    width: usize,
    scale: f32,
    out: &mut [f32],
) {
    const SIDE: usize = 4;
    let whole = dim / SIDE * SIDE;
    for left in (0..width).step_by(SIDE) {
        let rows = count.saturating_sub(left).min(SIDE);
        let edge = if rows < SIDE { 0 } else { whole };
        for top in (0..edge).step_by(SIDE) {
            let mut square = [[0.0; SIDE]; SIDE];
            for (row, line) in square.iter_mut().enumerate() {
                line.copy_from_slice(&from[(left + row) * stride + top..][..SIDE]);
            }
            for (d, line) in transpose4(square).into_iter().enumerate() {
                let to = &mut out[(top + d) * QUERIES + left..][..SIDE];
                to.iter_mut().zip(line).for_each(|(to, value)| *to = value * scale);
            }
        }
        for d in edge..dim {
            let to = &mut out[d * QUERIES + left..][..SIDE];
            for (row, to) in to.iter_mut().enumerate() {
                *to = if row < rows { from[(left + row) * stride + d] * scale } else { 0.0 };
            }
        }
    }
}

/// Rows for columns.
#[inline(always)]
fn transpose4(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        // SAFETY: every x86-64 processor has SSE, and each row holds four values.
        unsafe {
            let [mut a, mut b, mut c, mut d] = rows.map(|row| _mm_loadu_ps(row.as_ptr()));
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            [a, b, c, d].map(|row| {
                let mut values = [0.0; 4];
                _mm_storeu_ps(values.as_mut_ptr(), row);
                values
            })
        }
    }
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    {
        use std::arch::aarch64::*;
        // SAFETY: the whole program is compiled for NEON, and each row holds four values.
        unsafe {
            let [a, b, c, d] = rows.map(|row| vld1q_f32(row.as_ptr()));
            // Even and odd columns of two rows, then of all four.
            let halves = [vtrn1q_f32(a, b), vtrn2q_f32(a, b), vtrn1q_f32(c, d), vtrn2q_f32(c, d)];
            let [a, b, c, d] = halves.map(|half| vreinterpretq_f64_f32(half));
            let columns = [vtrn1q_f64(a, c), vtrn1q_f64(b, d), vtrn2q_f64(a, c), vtrn2q_f64(b, d)];
            columns.map(|column| {
                let mut values = [0.0; 4];
                vst1q_f32(values.as_mut_ptr(), vreinterpretq_f32_f64(column));
                values
            })
        }
    }
    #[cfg(not(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_feature = "neon")
    )))]
    {
        std::array::from_fn(|column| rows.map(|row| row[column]))
    }
}
