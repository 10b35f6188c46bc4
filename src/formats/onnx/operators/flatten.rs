//! A matrix of the elements.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::product;
use crate::ops::Reshape;

/// The axes before `axis` as one, and those from it on as another.
pub fn flatten(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "input")?;
    let dims = call.value_ty(x).dims.clone();
    let axis = call.attributes.int_or("axis", 1)?;
    // It may stand behind the last axis too.
    let axis = match usize::try_from(axis) {
        Ok(axis) if axis == dims.len() => axis,
        _ => call.axis("axis", axis, dims.len())?,
    };
    let (front, behind) = dims.split_at(axis);
    let dims = vec![product(front.iter().cloned()), product(behind.iter().cloned())];
    Ok(vec![call.add(Reshape::to(dims), &[x])?.into()])
}
