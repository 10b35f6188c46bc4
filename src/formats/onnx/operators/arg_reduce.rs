//! Where the largest or smallest element of an axis stands.

use super::numeric::{binary, widen};
use super::part::size;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Arithmetic, Size};
use crate::graph::{DType, Dim};
use crate::ops::{ArgReduce, BinaryKind, Reshape, Reverse};

/// The position of the largest element.
pub fn arg_max(call: &mut Call<'_>) -> Outputs {
    position(call, true)
}

/// The position of the smallest element.
pub fn arg_min(call: &mut Call<'_>) -> Outputs {
    position(call, false)
}

/// The first position, or the last one where `select_last_index` says so.
fn position(call: &mut Call<'_>, largest: bool) -> Outputs {
    let x = call.value(0, "data")?;
    let ty = call.value_ty(x).clone();
    let axis = call.attributes.int_or("axis", 0)?;
    let axis = call.axis("axis", axis, ty.rank())?;
    let keepdims = call.attributes.flag_or("keepdims", true)?;
    let is_last = call.attributes.flag_or("select_last_index", false)?;
    let mut x = widen(call, x)?;
    if is_last {
        x = call.add(Reverse { axis }, &[x])?;
    }
    let found = call.add(ArgReduce { largest, axis }, &[x])?;
    let mut y = call.cast(found, DType::I64)?;
    if is_last {
        let dim = Size::from(ty.dims[axis].clone());
        if let Some(last) = dim.combine(Arithmetic::Subtract, &Size::Known(1)) {
            let last = size(call, last)?;
            y = binary(call, BinaryKind::Subtract, last, y)?;
        }
    }
    if keepdims {
        let mut dims = call.value_ty(y).dims.clone();
        dims.insert(axis, Dim::Known(1));
        y = call.add(Reshape::to(dims), &[y])?;
    }
    Ok(vec![y.into()])
}
