//! Lists of tensors, where they are known to be the rounds of a loop.

use crate::formats::onnx::attributes::missing;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::unsupported;
use crate::formats::onnx::stacked::STACKED;
use crate::ops::{Reshape, Transpose};

/// The tensors of a list side by side along `axis`, or along a new one.
pub fn concat_from_sequence(call: &mut Call<'_>) -> Outputs {
    if call.attributes.int(STACKED)? != Some(1) {
        return Err(unsupported(
            "lists of tensors",
            "only one that a Loop fills, one tensor a round, and that is joined at its end is read",
        ));
    }
    let axis = call.attributes.int("axis")?.ok_or_else(|| missing("axis"))?;
    let is_new = call.attributes.flag_or("new_axis", false)?;
    let x = call.value(0, "input_sequence")?;
    let rank = call.value_ty(x).rank();
    // The first axis counts the tensors.
    let axis = call.axis("axis", axis, if is_new { rank } else { rank.saturating_sub(1) })?;
    let mut permutation: Vec<usize> = (1..rank).collect();
    permutation.insert(axis, 0);
    let moved = match axis {
        0 => x,
        _ => call.add(Transpose { permutation }, &[x])?,
    };
    if is_new {
        return Ok(vec![moved.into()]);
    }
    let mut dims = call.value_ty(moved).dims.clone();
    let count = dims.remove(axis);
    if let Some(dim) = dims.get_mut(axis) {
        *dim = count * dim.clone();
    }
    Ok(vec![call.add(Reshape::to(dims), &[moved])?.into()])
}
