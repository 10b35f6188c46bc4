//! Arithmetic on two tensors, which are repeated as NumPy does.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::Arithmetic;
use crate::formats::onnx::error::unsupported;
use crate::graph::{DType, Tensor, ValueId};
use crate::ops::{Binary, BinaryKind, Select};

/// `A + B`.
pub fn add(call: &mut Call<'_>) -> Outputs {
    binary(call, Arithmetic::Add, BinaryKind::Add)
}

/// `A - B`.
pub fn sub(call: &mut Call<'_>) -> Outputs {
    binary(call, Arithmetic::Subtract, BinaryKind::Subtract)
}

/// `A · B`.
pub fn mul(call: &mut Call<'_>) -> Outputs {
    binary(call, Arithmetic::Multiply, BinaryKind::Multiply)
}

/// `A / B`; of integers rounded towards zero.
pub fn div(call: &mut Call<'_>) -> Outputs {
    binary(call, Arithmetic::Divide, BinaryKind::Divide)
}

fn binary(call: &mut Call<'_>, on_sizes: Arithmetic, kind: BinaryKind) -> Outputs {
    // Sizes stay sizes: shape arithmetic leaves no node.
    if let (Some(a), Some(b)) = (call.sizes(0, "A")?, call.sizes(1, "B")?)
        && let Some(sizes) = a.combine(on_sizes, &b)
    {
        return Ok(vec![sizes.into()]);
    }
    let (a, b) = (call.value(0, "A")?, call.value(1, "B")?);
    let c = match kind {
        BinaryKind::Divide if call.value_ty(a).dtype.is_int() => divide_towards_zero(call, a, b)?,
        _ => call.add(Binary { kind }, &[a, b])?,
    };
    Ok(vec![c.into()])
}

/// The quotient of integers rounded towards zero, from the one rounded down: where that left a rest and
/// is negative, it is one more.
fn divide_towards_zero(
    call: &mut Call<'_>,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, crate::formats::onnx::error::Problem> {
    let ty = call.value_ty(a).dtype;
    if !matches!(ty, DType::I32 | DType::I64) {
        return Err(unsupported(format!("division of {ty}"), "cast to int64 first"));
    }
    let scalar = |value: i64| match ty {
        DType::I32 => Tensor::scalar(value as i32),
        _ => Tensor::scalar(value),
    };
    let two = |call: &mut Call<'_>, kind, x, y| call.add(Binary { kind }, &[x, y]);
    let down = two(call, BinaryKind::FloorDivide, a, b)?;
    let product = two(call, BinaryKind::Multiply, down, b)?;
    let has_rest = two(call, BinaryKind::NotEqual, product, a)?;
    let (zero, one) = (call.constant(scalar(0)), call.constant(scalar(1)));
    let is_negative = two(call, BinaryKind::Less, down, zero)?;
    let rounded = two(call, BinaryKind::And, has_rest, is_negative)?;
    let more = two(call, BinaryKind::Add, down, one)?;
    call.add(Select, &[rounded, more, down])
}
