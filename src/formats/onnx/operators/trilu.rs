//! Triangles and diagonals of matrices.

use super::numeric::{binary, scalar};
use super::part::positions;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::Size;
use crate::formats::onnx::error::{Problem, unsupported};
use crate::formats::onnx::tensor::dtype;
use crate::graph::{DType, Dim, Tensor, ValueId};
use crate::ops::{BinaryKind, Reshape, Select};

/// The elements of `input` on and above (or below) the `k`th diagonal, zeros elsewhere.
pub fn trilu(call: &mut Call<'_>) -> Outputs {
    let is_upper = call.attributes.flag_or("upper", true)?;
    let x = call.value(0, "input")?;
    let ty = call.value_ty(x).clone();
    let k = match call.optional_value(1)? {
        Some(k) => call.add(Reshape::to(Vec::new()), &[k])?,
        None => scalar(call, DType::I64, 0),
    };
    let distance = distance(call, &ty.dims)?;
    let kind = if is_upper { BinaryKind::GreaterEqual } else { BinaryKind::LessEqual };
    let kept = binary(call, kind, distance, k)?;
    let zero = call.constant(Tensor::zeros(ty.dtype, []));
    Ok(vec![call.add(Select, &[kept, x, zero])?.into()])
}

/// How far each element of the matrices stands to the right of the main diagonal, `[rows, columns]`.
fn distance(call: &mut Call<'_>, dims: &[Dim]) -> Result<ValueId, Problem> {
    let [.., rows, columns] = dims else {
        return Err(unsupported("a tensor of fewer than 2 dimensions", "give it two"));
    };
    let down = positions(call, Size::Known(0), rows.clone())?;
    let down = call.add(Reshape::to(vec![rows.clone(), Dim::Known(1)]), &[down])?;
    let right = positions(call, Size::Known(0), columns.clone())?;
    binary(call, BinaryKind::Subtract, right, down)
}

/// Ones on the `k`th diagonal of a matrix of the shape of `input`, zeros elsewhere.
pub fn eye_like(call: &mut Call<'_>) -> Outputs {
    let k = call.attributes.int_or("k", 0)?;
    let input = call.operand(0, "input")?;
    let ty = call.ty(&input);
    let to = match call.attributes.int("dtype")? {
        None => ty.dtype,
        Some(number) => {
            let found = i32::try_from(number).map_err(|_| "unknown".to_owned()).and_then(dtype);
            found.map_err(|what| bad("dtype", what, "a supported type"))?
        }
    };
    if ty.rank() != 2 {
        return Err(unsupported(format!("a tensor of {} dimensions", ty.rank()), "give it two"));
    }
    let distance = distance(call, &ty.dims)?;
    let k = scalar(call, DType::I64, k);
    let ones = binary(call, BinaryKind::Equal, distance, k)?;
    Ok(vec![call.cast(ones, to)?.into()])
}
