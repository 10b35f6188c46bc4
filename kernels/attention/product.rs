//! Products of strided matrices, single-threaded.

use crate::matmul::{Matrix as Factor, add_product_on};
use crate::{DisjointMut, Isa};

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    /// From a row, and from a column, to the next.
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// Rows of neighbours, the first of which starts at `start`, `stride` apart.
    pub(super) fn new(values: &'a [f32], (start, stride): (usize, usize)) -> Matrix<'a> {
        Matrix { values: values.get(start..).unwrap_or_default(), strides: [stride, 1] }
    }

    /// Rows for columns.
    pub(super) fn transposed(self) -> Matrix<'a> {
        Matrix { strides: [self.strides[1], self.strides[0]], ..self }
    }

    fn check(&self, rows: usize, columns: usize) {
        let last = (rows - 1) * self.strides[0] + (columns - 1) * self.strides[1];
        assert!(last < self.values.len(), "attention: a factor ends after its slice");
    }
}

/// `out = x · w` for `[rows, depth] · [depth, columns]`, rows of `out` side by side.
pub(super) fn dense(
    isa: Isa,
    (rows, depth, columns): (usize, usize, usize),
    x: Matrix,
    w: Matrix,
    out: &mut [f32],
) {
    let parts = DisjointMut::new(out);
    // SAFETY: nobody else has `out`.
    unsafe { into(isa, (rows, depth, columns), x, w, parts, 0, columns, false) };
}

/// Writes `x · w`, or adds it, to rows of `out` that begin `stride` apart from `start` on.
///
/// # Safety
/// Nobody else may use these rows of `out` meanwhile.
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn into(
    isa: Isa,
    (rows, depth, columns): (usize, usize, usize),
    x: Matrix,
    w: Matrix,
    out: DisjointMut<f32>,
    start: usize,
    stride: usize,
    add: bool,
) {
    if rows * columns == 0 {
        return;
    }
    if depth == 0 {
        for row in (0..rows).filter(|_| !add) {
            let at = start + row * stride;
            // SAFETY: as the caller promises.
            unsafe { out.slice(at..at + columns) }.fill(0.0);
        }
        return;
    }
    x.check(rows, depth);
    w.check(depth, columns);
    // Asserts that the last row lies inside.
    out.start_of(start + (rows - 1) * stride + columns);
    let at = |matrix: &Matrix| Factor {
        start: matrix.values.as_ptr(),
        row_stride: matrix.strides[0],
        column_stride: matrix.strides[1],
    };
    // SAFETY: all three lie inside their slices, by the checks above, and the caller promises that
    // the rows of `out` are its own.
    unsafe {
        let (size, to) = ((rows, depth, columns), out.start_of(start));
        add_product_on(isa, size, at(&x), at(&w), to, stride, add);
    }
}
