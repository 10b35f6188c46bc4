//! Elements of an axis by their positions.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes};
use crate::ops::Take;

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
    let (data, indices) = (call.materialize(&data)?, call.value(1, "indices")?);
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
