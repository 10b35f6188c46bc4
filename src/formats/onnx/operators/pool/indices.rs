//! Where the largest elements of windows stand.

use super::{Pool, compose};
use crate::formats::onnx::call::Call;
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::{Dim, GraphError, Tensor, ValueId};
use crate::ops::window::Window;
use crate::ops::{BinaryKind, Take};

/// The most taps of a window: each takes a few nodes.
const TAPS: usize = 64;

/// An axis, its windows, and the place of each tap.
struct Places {
    len: usize,
    /// For each tap the element under it of each window, `None` for padding.
    taps: Vec<Vec<Option<usize>>>,
}

impl Places {
    fn new(len: usize, window: &Window) -> Places {
        let before = window.padding_sizes(len).0;
        let count = window.outputs(len);
        let of_tap = |tap: usize| -> Vec<Option<usize>> {
            let place = |index: usize| {
                let at = index * window.stride + tap * window.dilation;
                at.checked_sub(before).filter(|at| *at < len)
            };
            (0..count).map(place).collect()
        };
        Places { len, taps: (0..window.size).map(of_tap).collect() }
    }
}

/// The position of each window's first largest element among all elements of the input, `i64`; with
/// `is_column_major` the first of two axes counts as the innermost.
///
/// # Errors
/// If the sizes of the input are not known, or windows have too many taps.
pub(super) fn positions(
    call: &mut Call<'_>,
    pool: &Pool,
    is_column_major: bool,
) -> Result<ValueId, Problem> {
    let shape: Option<Vec<usize>> = call.value_ty(pool.x).dims.iter().map(Dim::known).collect();
    let taps: usize = pool.attributes.sizes.iter().product();
    let (Some(shape @ ([_, _, _] | [_, _, _, _])), true) = (shape.as_deref(), taps <= TAPS) else {
        let hint = "export with one or two axes of known sizes, small windows, or without the \
                    second output";
        return Err(unsupported("the positions that MaxPool gives", hint));
    };
    let windows = pool.attributes.padded(&pool.whole());
    let places: Vec<Places> =
        windows.iter().zip(&shape[2..]).map(|(window, len)| Places::new(*len, window)).collect();
    // One axis is two, the first of which has one element.
    let unit = Places { len: 1, taps: vec![vec![Some(0)]] };
    let (rows, columns) = match &places[..] {
        [columns] => (&unit, columns),
        [rows, columns, ..] => (rows, columns),
        [] => (&unit, &unit),
    };
    let dims = [shape[0], shape[1], rows.len, columns.len].map(Dim::Known);
    let x = compose::shaped(call, pool.x, dims)?;
    let mut best = call.constant(Tensor::scalar(f32::NEG_INFINITY));
    let mut found = call.constant(Tensor::scalar(0i64));
    for row in &rows.taps {
        for column in &columns.taps {
            let tap = Tap { row, column, sizes: (rows.len, columns.len), is_column_major };
            (best, found) = tap.compare(call, x, best, found)?;
        }
    }
    let size = (rows.len * columns.len) as i64;
    let starts: Vec<i64> = (0..shape[0] * shape[1]).map(|index| index as i64 * size).collect();
    let starts = constant(call, [shape[0], shape[1], 1, 1], starts)?;
    let found = compose::sum(call, found, starts)?;
    let mut given = vec![Dim::Known(shape[0]), Dim::Known(shape[1])];
    given.extend(places.iter().map(|axis| Dim::Known(axis.taps.first().map_or(0, Vec::len))));
    compose::shaped(call, found, given)
}

/// One tap of the windows.
struct Tap<'a> {
    row: &'a [Option<usize>],
    column: &'a [Option<usize>],
    sizes: (usize, usize),
    is_column_major: bool,
}

impl Tap<'_> {
    /// The largest elements and their places after this tap.
    fn compare(
        &self,
        call: &mut Call<'_>,
        x: ValueId,
        best: ValueId,
        found: ValueId,
    ) -> Result<(ValueId, ValueId), Problem> {
        let mut here = x;
        for (axis, places) in [(2, self.row), (3, self.column)] {
            let indices: Vec<i64> = places.iter().map(|place| place.unwrap_or(0) as i64).collect();
            let indices = constant(call, [indices.len()], indices)?;
            here = call.add(Take { axis }, &[here, indices])?;
        }
        let (mut is_real, mut places) = (Vec::new(), Vec::new());
        for row in self.row {
            for column in self.column {
                let place = row.zip(*column);
                is_real.push(place.is_some());
                let (row, column) = place.unwrap_or_default();
                let place = match self.is_column_major {
                    true => column * self.sizes.0 + row,
                    false => row * self.sizes.1 + column,
                };
                places.push(place as i64);
            }
        }
        let shape = [self.row.len(), self.column.len()];
        let (is_real, places) = (constant(call, shape, is_real)?, constant(call, shape, places)?);
        let is_larger = compose::binary(call, BinaryKind::Greater, here, best)?;
        let is_larger = compose::binary(call, BinaryKind::And, is_larger, is_real)?;
        let best = compose::select(call, is_larger, here, best)?;
        Ok((best, compose::select(call, is_larger, places, found)?))
    }
}

fn constant<const RANK: usize>(
    call: &mut Call<'_>,
    shape: [usize; RANK],
    data: impl Into<crate::graph::Data>,
) -> Result<ValueId, Problem> {
    Ok(call.constant(Tensor::new(shape, data).map_err(GraphError::from)?))
}
