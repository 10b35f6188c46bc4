//! Random matrices with orthonormal columns or rows.

use super::super::random::{Random, normal_quantile};

/// A random matrix `[rows, columns]`, row-major, whose shorter side's vectors are orthonormal;
/// `None` if it does not fit into memory.
///
/// As Keras does it: Q of the QR decomposition of a matrix of normal numbers `[longer, shorter]`,
/// each column times the sign of R's diagonal (which makes Q uniform among such matrices: Mezzadri,
/// "How to generate random matrices from the classical compact groups", 2007), transposed where
/// rows are fewer than columns.
pub(super) fn orthogonal(rows: usize, columns: usize, random: Random) -> Option<Vec<f64>> {
    let (longer, shorter) = (rows.max(columns), rows.min(columns));
    if shorter == 0 {
        return Some(Vec::new());
    }
    let mut matrix = Vec::new();
    matrix.try_reserve_exact(longer.checked_mul(shorter)?).ok()?;
    matrix.extend(random.open_uniform(longer * shorter).map(normal_quantile));
    let q = orthonormal_columns(matrix, shorter);
    if rows >= columns {
        return Some(q);
    }
    Some((0..shorter).flat_map(|row| q.iter().skip(row).step_by(shorter).copied()).collect())
}

/// Q of `matrix` = Q·R with R's diagonal positive; `matrix` is row-major, `width` wide and at
/// least as high. Householder's reflections: Golub and Van Loan, "Matrix Computations", 5.2.
fn orthonormal_columns(mut matrix: Vec<f64>, width: usize) -> Vec<f64> {
    let mut reflections = Vec::with_capacity(width);
    let mut signs = Vec::with_capacity(width);
    let mut sums = vec![0.0; width];
    for column in 0..width {
        let below = matrix.get_mut(column * width..).unwrap_or_default();
        let mut vector: Vec<f64> = below.iter().skip(column).step_by(width).copied().collect();
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        // R's diagonal is −first·norm: the sign that does not cancel digits.
        let sign = vector.first().map_or(1.0, |first| 1f64.copysign(*first));
        if let Some(first) = vector.first_mut() {
            *first += sign * norm;
        }
        reflect(below, width, column, &vector, &mut sums);
        signs.push(-sign);
        reflections.push(vector);
    }
    matrix.fill(0.0);
    for (place, (row, sign)) in matrix.chunks_exact_mut(width).zip(&signs).enumerate() {
        if let Some(diagonal) = row.get_mut(place) {
            *diagonal = *sign;
        }
    }
    for (column, vector) in reflections.iter().enumerate().rev() {
        let below = matrix.get_mut(column * width..).unwrap_or_default();
        reflect(below, width, column, vector, &mut sums);
    }
    matrix
}

/// `rows −= 2/(v·v) · v · (vᵀ·rows)`, in the columns from `column` on. Both steps run along rows,
/// which lie in memory one after the other.
fn reflect(rows: &mut [f64], width: usize, column: usize, vector: &[f64], sums: &mut [f64]) {
    let square: f64 = vector.iter().map(|x| x * x).sum();
    if square == 0.0 {
        return;
    }
    let sums = sums.get_mut(column..).unwrap_or_default();
    sums.fill(0.0);
    add_scaled(sums, rows.chunks_exact(width).map(|row| row.get(column..)), vector);
    for (row, scale) in rows.chunks_exact_mut(width).zip(vector) {
        let row = row.get_mut(column..).unwrap_or_default();
        let scale = 2.0 / square * scale;
        row.iter_mut().zip(&*sums).for_each(|(x, sum)| *x -= scale * sum);
    }
}

/// `sums += scales · rows`, four rows at a time so that sums are read and written less often.
fn add_scaled<'a>(sums: &mut [f64], rows: impl Iterator<Item = Option<&'a [f64]>>, scales: &[f64]) {
    let mut rows = rows.map(Option::unwrap_or_default);
    let (fours, rest) = scales.as_chunks::<4>();
    for [s, t, u, v] in fours {
        let mut next = || rows.next().unwrap_or_default();
        let (a, b, c, d) = (next(), next(), next(), next());
        let rows = a.iter().zip(b).zip(c.iter().zip(d));
        for (sum, ((a, b), (c, d))) in sums.iter_mut().zip(rows) {
            *sum += (s * a + t * b) + (u * c + v * d);
        }
    }
    for (row, scale) in rows.zip(rest) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += scale * x);
    }
}
