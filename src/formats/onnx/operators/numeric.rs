//! Arithmetic on every type of number, by the few that kernels compute in.

use crate::formats::onnx::call::Call;
use crate::formats::onnx::error::{NodeProblem, Problem, unsupported};
use crate::graph::{DType, Data, Tensor, ValueId};
use crate::ops::{Binary, BinaryKind, Reshape, Unary, UnaryKind};

/// The type that numbers of `dtype` are computed in: `f32` for `f16`, `i64` for narrow integers, which wrap
/// when they are made narrow again.
///
/// # Errors
/// If it is no number, or one that nothing computes in.
pub fn carrier(dtype: DType) -> Result<DType, Problem> {
    use DType::*;
    match dtype {
        F32 | F64 | I32 | I64 | U64 => Ok(dtype),
        F16 => Ok(F32),
        I8 | I16 | U8 | U16 | U32 => Ok(I64),
        Bool => Err(unsupported("arithmetic on truth values", "cast them to a number first")),
        Str => Err(unsupported("arithmetic on text", "cast it to a number first")),
    }
}

/// A value in the type that it is computed in.
///
/// # Errors
/// If nothing computes in its type.
pub fn widen(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    let to = carrier(call.value_ty(x).dtype)?;
    call.cast(x, to)
}

/// The two functions below see to it that numbers of 64 bits without sign are in order as `i64`, for what
/// has no kernel of their own: the smallest becomes the smallest there.
fn flip(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    let lowest = call.constant(Tensor::scalar(i64::MIN));
    binary(call, BinaryKind::BitXor, x, lowest)
}

/// A value in a type that it is computed in, in the same order.
///
/// # Errors
/// If nothing computes in its type.
pub fn ordered(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    if call.value_ty(x).dtype != DType::U64 {
        return widen(call, x);
    }
    let x = call.cast(x, DType::I64)?;
    flip(call, x)
}

/// What [`ordered`] made of a number of type `dtype`, as that again.
///
/// # Errors
/// If the types cannot be converted.
pub fn restored(call: &mut Call<'_>, x: ValueId, dtype: DType) -> Result<ValueId, Problem> {
    let x = if dtype == DType::U64 { flip(call, x)? } else { x };
    call.cast(x, dtype)
}

/// A node of two inputs.
///
/// # Errors
/// If they do not fit.
pub fn binary(
    call: &mut Call<'_>,
    kind: BinaryKind,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, Problem> {
    call.add(Binary { kind }, &[a, b])
}

/// A node of one input.
///
/// # Errors
/// If it does not fit.
pub fn unary(call: &mut Call<'_>, kind: UnaryKind, x: ValueId) -> Result<ValueId, Problem> {
    call.add(Unary { kind }, &[x])
}

/// A number of a type that is computed in.
pub fn scalar(call: &mut Call<'_>, dtype: DType, value: i64) -> ValueId {
    call.constant(match dtype {
        DType::I32 => Tensor::scalar(value as i32),
        DType::I64 => Tensor::scalar(value),
        DType::U64 => Tensor::scalar(value as u64),
        DType::F64 => fraction(dtype, value as f64),
        _ => Tensor::scalar(value as f32),
    })
}

/// A number of type `f64`, or else `f32`, without dimensions.
pub fn fraction(dtype: DType, value: f64) -> Tensor {
    match dtype {
        DType::F64 => {
            let mut tensor = Tensor::zeros(DType::F64, []);
            if let Data::F64(values) = tensor.data_mut() {
                values.fill(value);
            }
            tensor
        }
        _ => Tensor::scalar(value as f32),
    }
}

/// The type that both inputs of an operator have.
///
/// # Errors
/// If they have two.
pub fn one_type(
    call: &Call<'_>,
    a: ValueId,
    b: ValueId,
    input: &'static str,
) -> Result<DType, Problem> {
    let (dtype, other) = (call.value_ty(a).dtype, call.value_ty(b).dtype);
    match dtype == other {
        true => Ok(dtype),
        false => Err(NodeProblem::Input {
            index: 1,
            input,
            found: other.to_string(),
            expected: format!("{dtype} as the first input is"),
        }
        .into()),
    }
}

/// The inputs `A` and `B`. Before version 7 `B` stands along the axes from the attribute `axis` on, not
/// along the last ones.
///
/// # Errors
/// If one is absent, or the axes do not fit.
pub fn pair(call: &mut Call<'_>) -> Result<(ValueId, ValueId), Problem> {
    let (a, b) = (call.value(0, "A")?, call.value(1, "B")?);
    if call.opset() >= 7 {
        return Ok((a, b));
    }
    if call.opset() < 6 {
        call.attributes.ignore(["consumed_inputs"]);
    }
    let repeats = call.attributes.flag_or("broadcast", false)?;
    let Some(axis) = call.attributes.int("axis")?.filter(|_| repeats) else { return Ok((a, b)) };
    let rank = call.value_ty(a).rank();
    let axis = call.axis("axis", axis, rank)?;
    let mut dims = call.value_ty(b).dims.clone();
    if let Some(behind) = rank.checked_sub(axis + dims.len()) {
        dims.extend(std::iter::repeat_n(crate::graph::Dim::Known(1), behind));
    }
    let b = call.add(Reshape::to(dims), &[b])?;
    Ok((a, b))
}

/// The first input in the type that floating point numbers are computed in, and its own type.
///
/// # Errors
/// If it is absent or no floating point number.
pub fn float(call: &mut Call<'_>, input: &'static str) -> Result<(ValueId, DType), Problem> {
    let x = call.value(0, input)?;
    let dtype = call.value_ty(x).dtype;
    if !dtype.is_float() {
        let (found, expected) = (dtype.to_string(), "a floating point number".to_owned());
        return Err(NodeProblem::Input { index: 0, input, found, expected }.into());
    }
    Ok((widen(call, x)?, dtype))
}
