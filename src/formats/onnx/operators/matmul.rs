//! The product of matrices, as NumPy's `matmul`.

use super::numeric::one_type;
use super::product::product;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::Problem;
use crate::graph::{Dim, ValueId};
use crate::ops::Reshape;

/// `A · B` over the last axis of `A` and the one before the last of `B`; a vector is a row on the left, a
/// column on the right, and the axis that made it one goes again.
pub fn matmul(call: &mut Call<'_>) -> Outputs {
    let (a, b) = (call.value(0, "A")?, call.value(1, "B")?);
    let dtype = one_type(call, a, b, "B")?;
    let y = of_any_rank(call, a, b)?;
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// The product of two values, as [`matmul`] has it.
///
/// # Errors
/// If their sizes do not fit each other.
pub fn of_any_rank(
    call: &mut Call<'_>,
    mut a: ValueId,
    mut b: ValueId,
) -> Result<ValueId, Problem> {
    let (is_row, is_column) = (call.value_ty(a).rank() == 1, call.value_ty(b).rank() == 1);
    if is_row {
        let dims = [&[Dim::Known(1)], &call.value_ty(a).dims[..]].concat();
        a = call.add(Reshape::to(dims), &[a])?;
    }
    if is_column {
        let dims = [&call.value_ty(b).dims[..], &[Dim::Known(1)]].concat();
        b = call.add(Reshape::to(dims), &[b])?;
    }
    let mut y = product(call, a, b)?;
    if is_row || is_column {
        let mut dims = call.value_ty(y).dims.clone();
        if is_column {
            dims.pop();
        }
        if is_row {
            dims.remove(dims.len() - if is_column { 1 } else { 2 });
        }
        y = call.add(Reshape::to(dims), &[y])?;
    }
    Ok(y)
}
