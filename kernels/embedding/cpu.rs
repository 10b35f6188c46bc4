//! The copies and comparisons.

use super::IdOutOfRange;
use crate::layout::Index;
use crate::{Cpu, DisjointMut, scatter};

/// Elements that one block writes, roughly.
const BLOCK: usize = 16 * 1024;

/// Writes row `ids[i]` of `table` (`[vocabulary, dim]`) to row `i` of `out` (`[ids, dim]`).
///
/// # Errors
/// The first id below 0 or beyond the table; nothing is written then.
///
/// # Panics
/// If `table` is not whole rows, or the output's length does not fit.
pub fn gather<T: Copy + Send + Sync, I: Index>(
    cpu: Cpu,
    table: &[T],
    dim: usize,
    ids: &[I],
    vocabulary: usize,
    out: &mut [T],
) -> Result<(), IdOutOfRange> {
    assert_eq!(table.len(), vocabulary * dim, "embedding: the table's length");
    assert_eq!(out.len(), ids.len() * dim, "embedding: the output's length");
    check(ids, vocabulary)?;
    if out.is_empty() {
        return Ok(());
    }
    let group = (BLOCK / dim).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(ids.len().div_ceil(group), &|block| {
        let rows = block * group..ids.len().min((block + 1) * group);
        // SAFETY: blocks write disjoint rows.
        let part = unsafe { parts.slice(rows.start * dim..rows.end * dim) };
        let ids = &ids[rows];
        // Short rows whose length the compiler knows need no call to be copied.
        match dim {
            8 => copy::<T, I, 8>(table, dim, ids, part),
            16 => copy::<T, I, 16>(table, dim, ids, part),
            32 => copy::<T, I, 32>(table, dim, ids, part),
            64 => copy::<T, I, 64>(table, dim, ids, part),
            _ => copy::<T, I, 0>(table, dim, ids, part),
        }
    });
    Ok(())
}

/// Copies rows of `DIM` values, or of `dim` if that is 0.
#[inline(always)]
fn copy<T: Copy, I: Index, const DIM: usize>(table: &[T], dim: usize, ids: &[I], out: &mut [T]) {
    let dim = if DIM > 0 { DIM } else { dim };
    for (id, row) in ids.iter().zip(out.chunks_exact_mut(dim)) {
        let start = id.widen() as usize * dim;
        row.copy_from_slice(&table[start..start + dim]);
    }
}

/// The first id that names no row of the table.
fn check<I: Index>(ids: &[I], vocabulary: usize) -> Result<(), IdOutOfRange> {
    // One comparison covers both ends: a negative id becomes huge.
    let outside = |id: I| id.widen() as u64 >= vocabulary as u64;
    match ids.iter().position(|&id| outside(id)) {
        Some(position) => Err(IdOutOfRange { position, id: ids[position].widen(), vocabulary }),
        None => Ok(()),
    }
}

/// The gradient of [`gather`]: row `v` of `d_table` (`[vocabulary, dim]`) gets the sum of the rows
/// of `dy` (`[ids, dim]`) whose id is `v`, in their order, and 0 where there is none.
///
/// # Errors
/// The first id below 0 or beyond the table; nothing is written then.
///
/// # Panics
/// If a length does not fit.
pub fn gather_backward<I: Index>(
    cpu: Cpu,
    ids: &[I],
    dy: &[f32],
    dim: usize,
    vocabulary: usize,
    d_table: &mut [f32],
) -> Result<(), IdOutOfRange> {
    assert_eq!(d_table.len(), vocabulary * dim, "embedding: the table gradient's length");
    assert_eq!(dy.len(), ids.len() * dim, "embedding: the gradient's length");
    check(ids, vocabulary)?;
    scatter::add_rows(cpu, dy, ids, |id| id.widen() as usize, [1, vocabulary, dim], d_table);
    Ok(())
}

/// Writes 1 where an id is not `value`, else 0: the mask of Keras's `mask_zero`.
///
/// # Panics
/// If the lengths differ.
pub fn mask_not_equal<I: Index>(ids: &[I], value: i64, out: &mut [u8]) {
    assert_eq!(ids.len(), out.len(), "mask_not_equal: the output's length");
    for (out, id) in out.iter_mut().zip(ids) {
        *out = u8::from(id.widen() != value);
    }
}

/// Keras's `Masking` layer: a row of `x` (`[rows, features]`) whose values all equal `value` is
/// masked. `mask` (`[rows]`) gets 0 for such rows, else 1; `out` gets the row, or zeros.
///
/// A NaN equals nothing, so that a row with one is kept. Rows without values are masked.
///
/// # Panics
/// If a length does not fit.
pub fn masking(x: &[f32], features: usize, value: f32, mask: &mut [u8], out: &mut [f32]) {
    assert_eq!(x.len(), mask.len() * features, "masking: the input's length");
    assert_eq!(x.len(), out.len(), "masking: the output's length");
    for (row, mask) in mask.iter_mut().enumerate() {
        let range = row * features..(row + 1) * features;
        let kept = x[range.clone()].iter().any(|&v| v != value);
        *mask = u8::from(kept);
        if kept {
            out[range.clone()].copy_from_slice(&x[range]);
        } else {
            out[range].fill(0.0);
        }
    }
}
