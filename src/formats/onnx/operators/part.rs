//! Runs of positions along an axis, as far as sizes are known.

use super::numeric::scalar;
use crate::formats::onnx::call::Call;
use crate::formats::onnx::contents::{Size, Sizes};
use crate::formats::onnx::error::Problem;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{Arange, AxisSlice, Slice, Take};

/// A size as a value: `i64` without dimensions.
///
/// # Errors
/// If it cannot be one.
pub fn size(call: &mut Call<'_>, size: Size) -> Result<ValueId, Problem> {
    call.materialize(&Sizes::scalar(DType::I64, size).into())
}

/// The numbers from `start` on, `count` of them.
///
/// # Errors
/// If they cannot be values.
pub fn positions(call: &mut Call<'_>, start: Size, count: Dim) -> Result<ValueId, Problem> {
    let (start, one) = (size(call, start)?, scalar(call, DType::I64, 1));
    call.add(Arange { count }, &[start, one])
}

/// `count` positions of `axis` from `start` on. There must be so many.
///
/// # Errors
/// If `x` has no such axis.
pub fn part(
    call: &mut Call<'_>,
    x: ValueId,
    axis: usize,
    start: Dim,
    count: Dim,
) -> Result<ValueId, Problem> {
    let whole = call.value_ty(x).dims.get(axis);
    if start == Dim::Known(0) && whole == Some(&count) {
        return Ok(x);
    }
    if let (Some(first), Some(length)) = (start.known(), count.known()) {
        let end = first.saturating_add(length);
        let place = |position: usize| Some(i64::try_from(position).unwrap_or(i64::MAX));
        let slice = AxisSlice { axis, start: place(first), stop: place(end), step: 1 };
        return call.add(Slice { axes: vec![slice] }, &[x]);
    }
    let positions = positions(call, start.into(), count)?;
    call.add(Take { axis }, &[x, positions])
}
