//! The register-blocked product that convolution and attention share.

use crate::isa::Simd;

/// The left factor: rows of `taps` runs of `depth` values each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left<'a> {
    /// The values; the first row starts at 0.
    pub(crate) values: &'a [f32],
    /// How many rows there are.
    pub(crate) rows: usize,
    /// From a row to the next; rows may overlap.
    pub(crate) row_stride: usize,
    /// From a run of a row to its next.
    pub(crate) tap_stride: usize,
    /// Runs in a row.
    pub(crate) taps: usize,
    /// Values in a run.
    pub(crate) depth: usize,
}

/// Further runs of each row and further rows of the right factor, for windows with two axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    /// How many sets of runs there are.
    pub(crate) count: usize,
    /// From a set to the next in the left factor.
    pub(crate) left_stride: usize,
    /// From a set to the next in the right factor.
    pub(crate) right_stride: usize,
}

impl Planes {
    /// The runs of the left factor alone.
    pub(crate) const ONE: Planes = Planes { count: 1, left_stride: 0, right_stride: 0 };
}

/// Rows of the largest block: with two vectors a row it fills the registers of AVX2.
pub(crate) const ROWS: usize = 6;
/// Rows of a block with one vector a row: fewer would wait for their sums.
const NARROW_ROWS: usize = 12;

/// The product of `ROWS` rows of `left` and the first `VECTORS` vectors of each row of `right`,
/// for each plane a matrix of `taps · depth` rows with `right_stride` values each.
///
/// # Panics
/// If a factor is too short.
#[inline(always)]
pub(crate) fn product<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    left: Left,
    planes: Planes,
    right: &[f32],
    right_stride: usize,
) -> [[S::Vector; VECTORS]; ROWS] {
    let Left { values, row_stride, tap_stride, taps, depth, .. } = left;
    let mut sums = [[simd.splat(0.0); VECTORS]; ROWS];
    if planes.count * taps * depth == 0 {
        return sums;
    }
    let width = VECTORS * S::LANES;
    let (last_left, last_right) =
        ((planes.count - 1) * planes.left_stride, (planes.count - 1) * planes.right_stride);
    let last_row = last_left + (ROWS - 1) * row_stride + (taps - 1) * tap_stride;
    assert!(last_row + depth <= values.len());
    assert!(last_right + (taps * depth - 1) * right_stride + width <= right.len());
    for plane in 0..planes.count {
        let (left_start, right_start) = (plane * planes.left_stride, plane * planes.right_stride);
        for tap in 0..taps {
            for d in 0..depth {
                let start = right_start + (tap * depth + d) * right_stride;
                // SAFETY: the last row of `right` ends inside it, by the assertion above.
                let line = unsafe { right.get_unchecked(start..start + width) };
                let mut vectors = [simd.splat(0.0); VECTORS];
                for (v, vector) in vectors.iter_mut().enumerate() {
                    *vector = simd.load(&line[v * S::LANES..]);
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let at = left_start + row * row_stride + tap * tap_stride + d;
                    // SAFETY: the last value of the last row lies inside `values`, by the
                    // assertion.
                    let value = simd.splat(unsafe { *values.get_unchecked(at) });
                    for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                        *sum = simd.mul_add(value, vector, *sum);
                    }
                }
            }
        }
    }
    sums
}

/// Writes the product of `left` and `columns` columns of `right` to `out`, whose
/// rows are `out_stride` apart. `right` must be padded to whole vectors.
#[inline(always)]
pub(crate) fn multiply<S: Simd>(
    simd: S,
    left: Left,
    right: &[f32],
    right_stride: usize,
    columns: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    multiply_planes(simd, left, Planes::ONE, right, right_stride, columns, out, out_stride);
}

/// The same with the sum over several planes of both factors.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn multiply_planes<S: Simd>(
    simd: S,
    left: Left,
    planes: Planes,
    right: &[f32],
    right_stride: usize,
    columns: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    let mut column = 0;
    while column < columns {
        let right = right.get(column..).unwrap_or_default();
        let two = columns - column > S::LANES;
        let width = (columns - column).min(if two { 2 * S::LANES } else { S::LANES });
        let mut row = 0;
        while row < left.rows {
            let rest = left.rows - row;
            let height = match two {
                false if rest >= NARROW_ROWS => NARROW_ROWS,
                _ => rest.min(ROWS),
            };
            let left = Left { values: &left.values[row * left.row_stride..], ..left };
            let out = &mut out[row * out_stride + column..];
            macro_rules! block {
                ($n:literal) => {
                    if two {
                        let sums = product::<S, $n, 2>(simd, left, planes, right, right_stride);
                        store(simd, &sums, width, out, out_stride);
                    } else {
                        let sums = product::<S, $n, 1>(simd, left, planes, right, right_stride);
                        store(simd, &sums, width, out, out_stride);
                    }
                };
            }
            match height {
                NARROW_ROWS => {
                    let sums =
                        product::<S, NARROW_ROWS, 1>(simd, left, planes, right, right_stride);
                    store(simd, &sums, width, out, out_stride);
                }
                6 => block!(6),
                5 => block!(5),
                4 => block!(4),
                3 => block!(3),
                2 => block!(2),
                _ => block!(1),
            }
            row += height;
        }
        column += width;
    }
}

/// Writes the first `width` values of each row of sums.
#[inline(always)]
fn store<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    sums: &[[S::Vector; VECTORS]; ROWS],
    width: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    for (row, sums) in sums.iter().enumerate() {
        let out = &mut out[row * out_stride..row * out_stride + width];
        for (v, &sum) in sums.iter().enumerate() {
            let rest = &mut out[(v * S::LANES).min(width)..];
            if rest.len() >= S::LANES {
                simd.store(sum, rest);
            } else {
                let mut last = [0.0; 16];
                simd.store(sum, &mut last);
                rest.copy_from_slice(&last[..rest.len()]);
            }
        }
    }
}

/// `len` rounded up to whole vectors of the widest instruction set.
pub(crate) fn padded(len: usize) -> usize {
    len.next_multiple_of(16)
}
