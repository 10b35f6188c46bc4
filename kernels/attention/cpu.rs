//! The fast form: blocks of query rows of one head, their scores kept in the cache.

use super::pack::{self, Packing};
use super::scores::{Place, Weights, weigh};
use super::training::{TrainingOutput, WeightDropout, check_dropout};
use super::{AttentionCall, AttentionOutput, AttentionShape, MaskedRow, tiles};
use crate::isa::{Kernel, Simd};
use crate::panel::{self, Left, ROWS};
use crate::random::drop_neighbours;
use crate::{Cpu, DisjointMut};
use std::ops::Range;

/// Query rows of one block: whole groups of [`ROWS`].
const BLOCK: usize = 4 * ROWS;

/// How many values of workspace [`forward`] needs, whatever the call.
pub fn workspace_len(shape: &AttentionShape) -> usize {
    rows_workspace_len(shape).max(tiles::workspace_len(shape))
}

/// The same for a call that has no bias and asks for no scores.
pub fn output_workspace_len(shape: &AttentionShape, masked_row: MaskedRow) -> usize {
    match tiles::has_rule(masked_row) {
        true => tiles::workspace_len(shape),
        false => rows_workspace_len(shape),
    }
}

/// The workspace of the form that keeps whole rows of weights.
fn rows_workspace_len(shape: &AttentionShape) -> usize {
    let packing = Packing::new(shape);
    let packed = shape.batch * shape.kv_heads * (packing.key_len + packing.value_len);
    packed + blocks(shape) * ROWS * packing.key_stride
}

fn blocks(shape: &AttentionShape) -> usize {
    shape.batch * shape.heads * shape.queries.div_ceil(BLOCK)
}

/// Writes `softmax(scale · Q Kᵀ + bias, masked) V`, and the weights where they are asked for.
///
/// `workspace` has [`workspace_len`] values of any content. With no keys the output is 0. A value
/// that no query attends to may be infinite only if it does not meet a weight of 0.
///
/// # Panics
/// If a length does not fit the shape, or `kv_heads` does not divide `heads`.
pub fn forward(cpu: Cpu, call: &AttentionCall, out: AttentionOutput, workspace: &mut [f32]) {
    let AttentionOutput { output, scores } = out;
    let by_tiles = tiles::suits(call);
    let rows = scores.is_some() || !by_tiles;
    let mut out = Outputs { output, scores, dropped: None };
    check(call, &out);
    if rows {
        run(cpu, call, None, &mut out, workspace);
    }
    // After the rows too, so that the output does not depend on who asks for the scores.
    if by_tiles {
        let needed = tiles::workspace_len(&call.shape);
        assert!(workspace.len() >= needed, "attention: the workspace is too short");
        tiles::forward(cpu, call, out.output, &mut workspace[..needed]);
    }
}

/// Writes what training needs: the output, with dropout on the weights, and the weights before it.
///
/// `workspace` is that of [`forward`]. The output comes from whole rows of weights and can differ in
/// its last bits from that of [`forward`], which keeps none.
///
/// # Panics
/// As [`forward`], or if the rate is not in 0..=1.
pub fn forward_training(
    cpu: Cpu,
    call: &AttentionCall,
    dropout: Option<WeightDropout>,
    out: TrainingOutput,
    workspace: &mut [f32],
) {
    check_dropout(&dropout, &call.shape);
    let TrainingOutput { output, weights, dropped } = out;
    let mut out = Outputs { output, scores: Some(weights), dropped };
    check(call, &out);
    run(cpu, call, dropout, &mut out, workspace);
}

/// What either form writes.
struct Outputs<'a> {
    output: &'a mut [f32],
    scores: Option<&'a mut [f32]>,
    /// The weights after dropout.
    dropped: Option<&'a mut [f32]>,
}

fn run(
    cpu: Cpu,
    call: &AttentionCall,
    dropout: Option<WeightDropout>,
    out: &mut Outputs,
    workspace: &mut [f32],
) {
    let shape = &call.shape;
    let AttentionShape { batch, queries, keys, heads, kv_heads, .. } = *shape;
    let needed = rows_workspace_len(shape);
    assert!(workspace.len() >= needed, "attention: the workspace is too short");
    if out.output.is_empty() && out.scores.is_none() {
        return;
    }
    let packing = Packing::new(shape);
    let packs = batch * kv_heads;
    let (packed_keys, rest) = workspace.split_at_mut(packs * packing.key_len);
    let (packed_values, rest) = rest.split_at_mut(packs * packing.value_len);
    {
        let key_parts = DisjointMut::new(packed_keys);
        let value_parts = DisjointMut::new(packed_values);
        cpu.pool.for_each(if keys == 0 { 0 } else { packs }, &|pack| {
            let (b, h) = (pack / kv_heads, pack % kv_heads);
            let first = b * keys * kv_heads + h;
            // SAFETY: each pack is written by one block.
            let part =
                unsafe { key_parts.slice(pack * packing.key_len..(pack + 1) * packing.key_len) };
            pack::keys(shape, &packing, &call.key[first * shape.dim..], part);
            // SAFETY: as above.
            let part = unsafe {
                value_parts.slice(pack * packing.value_len..(pack + 1) * packing.value_len)
            };
            pack::values(shape, &packing, &call.value[first * shape.value_dim..], part);
        });
    }
    let scratch = DisjointMut::new(rest);
    let output = DisjointMut::new(out.output);
    let scores = out.scores.as_deref_mut().map(DisjointMut::new);
    let dropped = out.dropped.as_deref_mut().map(DisjointMut::new);
    let strips = queries.div_ceil(BLOCK);
    let scratch_len = ROWS * packing.key_stride;
    cpu.pool.for_each(blocks(shape), &|block| {
        let (plane, strip) = (block / strips, block % strips);
        let (b, h) = (plane / heads, plane % heads);
        let pack = b * kv_heads + h / (heads / kv_heads);
        let top = strip * BLOCK;
        // SAFETY: each block has a scratch of its own.
        let scratch = unsafe { scratch.slice(block * scratch_len..(block + 1) * scratch_len) };
        cpu.isa.run(Block {
            call,
            packing,
            keys: &packed_keys[pack * packing.key_len..(pack + 1) * packing.key_len],
            values: &packed_values[pack * packing.value_len..(pack + 1) * packing.value_len],
            place: Place { batch: b, head: h, query: 0 },
            queries: top..queries.min(top + BLOCK),
            scratch,
            output,
            scores,
            dropout,
            dropped,
        });
    });
}

fn check(call: &AttentionCall, out: &Outputs) {
    let shape = &call.shape;
    let AttentionShape { batch, queries, keys, heads, kv_heads, dim, value_dim } = *shape;
    let divides = heads == 0 || (kv_heads > 0 && heads % kv_heads == 0);
    assert!(divides, "attention: {kv_heads} key heads do not divide {heads} heads");
    assert_eq!(call.query.len(), batch * queries * heads * dim, "attention: the query's length");
    assert_eq!(call.key.len(), batch * keys * kv_heads * dim, "attention: the key's length");
    assert_eq!(
        call.value.len(),
        batch * keys * kv_heads * value_dim,
        "attention: the value's length"
    );
    assert_eq!(
        out.output.len(),
        batch * queries * heads * value_dim,
        "attention: the output's length"
    );
    for scores in [&out.scores, &out.dropped].into_iter().flatten() {
        assert_eq!(scores.len(), batch * heads * queries * keys, "attention: the scores' length");
    }
    if let Some(mask) = &call.mask {
        mask.check(shape, "the mask");
    }
    if let Some(bias) = &call.bias {
        bias.check(shape, "the bias");
    }
}

/// The rows of one block.
struct Block<'a> {
    call: &'a AttentionCall<'a>,
    packing: Packing,
    /// The head's transposed keys.
    keys: &'a [f32],
    /// The head's packed values.
    values: &'a [f32],
    /// The head; its `query` is set row by row.
    place: Place,
    queries: Range<usize>,
    /// `[ROWS, key_stride]`.
    scratch: &'a mut [f32],
    output: DisjointMut<'a, f32>,
    scores: Option<DisjointMut<'a, f32>>,
    dropout: Option<WeightDropout>,
    /// The weights after dropout.
    dropped: Option<DisjointMut<'a, f32>>,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut top = self.queries.start;
        while top < self.queries.end {
            let rows = ROWS.min(self.queries.end - top);
            let reach = self.group(simd, top, rows);
            self.combine(simd, top, rows, reach);
            top += rows;
        }
    }
}

impl Block<'_> {
    /// Puts the weights of some queries into the scratch, and gives the keys among which all
    /// weights that are not 0 lie.
    #[inline(always)]
    fn group<S: Simd>(&mut self, simd: S, top: usize, rows: usize) -> Range<usize> {
        let AttentionShape { queries, keys, heads, dim, .. } = self.call.shape;
        let stride = self.packing.key_stride;
        let Place { batch, head, .. } = self.place;
        let (mut start, mut end) = (keys, 0);
        for query in top..top + rows {
            let reach = self.call.reach(query);
            if !reach.is_empty() {
                (start, end) = (start.min(reach.start), end.max(reach.end));
            }
        }
        // From a whole vector on, so that the last one ends inside the padding.
        let mut computed = start.min(end) / 16 * 16..end;
        let first = ((batch * queries + top) * heads + head) * dim;
        let left = Left {
            values: &self.call.query[first..],
            rows,
            row_stride: heads * dim,
            tap_stride: 0,
            taps: 1,
            depth: dim,
        };
        if !computed.is_empty() {
            let right = self.keys.get(computed.start..).unwrap_or_default();
            let out = &mut self.scratch[computed.start..];
            panel::multiply(simd, left, right, stride, computed.len(), out, stride);
        }
        for row in 0..rows {
            let place = Place { query: top + row, ..self.place };
            let line = &mut self.scratch[row * stride..(row + 1) * stride];
            if weigh::<S>(self.call, place, line, computed.clone()) == Weights::Filled {
                computed = 0..keys;
            }
            let at = ((batch * heads + head) * queries + place.query) * keys;
            if let Some(scores) = &self.scores {
                // SAFETY: each row of scores belongs to one query of one block.
                let part = unsafe { scores.slice(at..at + keys) };
                part.copy_from_slice(&line[..keys]);
            }
            if let Some(WeightDropout { stream, rate }) = self.dropout {
                let first = (at + computed.start) as u64;
                let end = computed.end.min(keys);
                drop_neighbours(simd, stream, rate, first, &mut line[computed.start..end]);
            }
            if let Some(dropped) = &self.dropped {
                // SAFETY: as above.
                let part = unsafe { dropped.slice(at..at + keys) };
                part.copy_from_slice(&line[..keys]);
            }
        }
        computed
    }

    /// Writes the sums of values, weighted by the scratch.
    #[inline(always)]
    fn combine<S: Simd>(&mut self, simd: S, top: usize, rows: usize, reach: Range<usize>) {
        let AttentionShape { queries, heads, value_dim, .. } = self.call.shape;
        let Packing { key_stride, value_stride, .. } = self.packing;
        let Place { batch, head, .. } = self.place;
        if value_dim == 0 {
            return;
        }
        let left = Left {
            values: &self.scratch[reach.start..],
            rows,
            row_stride: key_stride,
            tap_stride: 0,
            taps: 1,
            depth: reach.len(),
        };
        let right = &self.values[reach.start * value_stride..];
        // The rows of a head lie between those of other heads, so they are taken one by one.
        let mut sums = [0.0; ROWS * COLUMNS];
        for column in (0..value_dim).step_by(COLUMNS) {
            let width = COLUMNS.min(value_dim - column);
            let right = right.get(column..).unwrap_or_default();
            panel::multiply(simd, left, right, value_stride, width, &mut sums, COLUMNS);
            for row in 0..rows {
                let query = top + row;
                let at = ((batch * queries + query) * heads + head) * value_dim + column;
                // SAFETY: each row of the output belongs to one query and head of one block.
                let part = unsafe { self.output.slice(at..at + width) };
                part.copy_from_slice(&sums[row * COLUMNS..row * COLUMNS + width]);
            }
        }
    }
}

/// Columns of the output that are summed at a time.
const COLUMNS: usize = 64;
