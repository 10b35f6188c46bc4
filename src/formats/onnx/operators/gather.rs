//! Elements by their positions.

use super::numeric::widen;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes};
use crate::formats::onnx::error::Problem;
use crate::graph::{DType, ValueId};
use crate::ops::{AxisSlice, GatherNd, Slice, Take, TakeAlongAxis};

/// Gathers positions `indices` of an axis of `data`; negative ones count from the end.
pub fn gather(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let axis = call.attributes.int_or("axis", 0)?;
    let axis = call.axis("axis", axis, call.ty(&data).rank())?;
    if let (Some(sizes), Some(indices)) = (data.sizes(), call.sizes(1, "indices")?)
        && let Some(taken) = take(&sizes, &indices)
    {
        return Ok(vec![taken.into()]);
    }
    let (data, indices) = (call.materialize(&data)?, positions(call)?);
    Ok(vec![call.add(Take { axis }, &[data, indices])?.into()])
}

/// Elements of a list of sizes.
fn take(sizes: &Sizes, indices: &Sizes) -> Option<Sizes> {
    if sizes.shape.len() != 1 || indices.shape.len() > 1 {
        return None;
    }
    let count = i64::try_from(sizes.elements.len()).ok()?;
    let element = |index: &Size| {
        let index = index.known()?;
        let index = if index < 0 { index.checked_add(count)? } else { index };
        sizes.elements.get(usize::try_from(index).ok()?).cloned()
    };
    let elements = indices.elements.iter().map(element).collect::<Option<_>>()?;
    Some(Sizes { dtype: sizes.dtype, shape: indices.shape.clone(), elements })
}

/// The input `indices` in a type that positions have.
///
/// # Errors
/// If it is absent or no integer.
pub fn positions(call: &mut Call<'_>) -> Result<ValueId, Problem> {
    let indices = call.value(1, "indices")?;
    match call.value_ty(indices).dtype {
        DType::I32 | DType::I64 => Ok(indices),
        _ => widen(call, indices),
    }
}

/// Gathers along an axis by a position for each element. Elsewhere `data` may be larger than `indices`.
pub fn gather_elements(call: &mut Call<'_>) -> Outputs {
    let mut data = call.value(0, "data")?;
    let indices = positions(call)?;
    let axis = call.attributes.int_or("axis", 0)?;
    let axis = call.axis("axis", axis, call.value_ty(data).rank())?;
    let pairs = call.value_ty(data).dims.iter().zip(&call.value_ty(indices).dims).enumerate();
    let larger = |(at, (own, other)): (usize, (&crate::graph::Dim, &crate::graph::Dim))| {
        let (own, count) = (own.known()?, other.known()?);
        let stop = Some(i64::try_from(count).ok()?);
        (at != axis && count < own).then_some(AxisSlice { axis: at, start: None, stop, step: 1 })
    };
    let axes: Vec<AxisSlice> = pairs.filter_map(larger).collect();
    if !axes.is_empty() {
        data = call.add(Slice { axes }, &[data])?;
    }
    Ok(vec![call.add(TakeAlongAxis { axis }, &[data, indices])?.into()])
}

/// Gathers slices of `data` by the tuples of positions in the last axis of `indices`.
pub fn gather_nd(call: &mut Call<'_>) -> Outputs {
    let data = call.value(0, "data")?;
    let indices = positions(call)?;
    let batch = call.attributes.int_or("batch_dims", 0)?;
    let batch = usize::try_from(batch).map_err(|_| {
        crate::formats::onnx::attributes::bad("batch_dims", batch.to_string(), "no negative number")
    })?;
    Ok(vec![call.add(GatherNd { batch }, &[data, indices])?.into()])
}
