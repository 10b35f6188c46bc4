//! Arithmetic on two tensors, which are repeated as NumPy does.

use super::numeric::{binary, carrier, one_type, pair, scalar, widen};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Arithmetic, Size, Sizes};
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::graph::{DType, ValueId};
use crate::ops::BinaryKind;

/// `A + B`.
pub fn add(call: &mut Call<'_>) -> Outputs {
    arithmetic(call, Arithmetic::Add, BinaryKind::Add)
}

/// `A - B`.
pub fn sub(call: &mut Call<'_>) -> Outputs {
    arithmetic(call, Arithmetic::Subtract, BinaryKind::Subtract)
}

/// `A · B`.
pub fn mul(call: &mut Call<'_>) -> Outputs {
    arithmetic(call, Arithmetic::Multiply, BinaryKind::Multiply)
}

/// `A / B`; of integers rounded towards zero.
pub fn div(call: &mut Call<'_>) -> Outputs {
    arithmetic(call, Arithmetic::Divide, BinaryKind::Divide)
}

fn arithmetic(call: &mut Call<'_>, on_sizes: Arithmetic, kind: BinaryKind) -> Outputs {
    // Sizes stay sizes: shape arithmetic leaves no node.
    if call.opset() >= 7
        && let (Some(a), Some(b)) = (call.sizes(0, "A")?, call.sizes(1, "B")?)
        && let Some(sizes) = a.combine(on_sizes, &b)
    {
        return Ok(vec![sizes.into()]);
    }
    let (a, b) = pair(call)?;
    let dtype = one_type(call, a, b, "B")?;
    let (a, b) = (widen(call, a)?, widen(call, b)?);
    let c = binary(call, kind, a, b)?;
    Ok(vec![call.cast(c, dtype)?.into()])
}

/// What the division leaves over: with the sign of `B`, or, where `fmod` says so, with that of `A`.
pub fn modulo(call: &mut Call<'_>) -> Outputs {
    let is_c = call.attributes.flag_or("fmod", false)?;
    if let (Some(a), Some(b)) = (call.sizes(0, "A")?, call.sizes(1, "B")?)
        && let Some(rest) = rest(&a, &b)
    {
        return Ok(vec![rest.into()]);
    }
    let (a, b) = (call.value(0, "A")?, call.value(1, "B")?);
    let dtype = one_type(call, a, b, "B")?;
    let (a, b) = (widen(call, a)?, widen(call, b)?);
    let kind = if is_c { BinaryKind::Remainder } else { BinaryKind::Modulo };
    let c = binary(call, kind, a, b)?;
    Ok(vec![call.cast(c, dtype)?.into()])
}

/// What the division of sizes leaves over; `None` where that cannot be said, or they may be negative.
fn rest(a: &Sizes, b: &Sizes) -> Option<Sizes> {
    let natural = |sizes: &Sizes| sizes.elements.iter().all(Size::is_natural);
    if !natural(a) || !natural(b) {
        return None;
    }
    let product = a.combine(Arithmetic::Divide, b)?.combine(Arithmetic::Multiply, b)?;
    a.combine(Arithmetic::Subtract, &product)
}

/// `X` to the power of `Y`, in the type of `X`.
pub fn pow(call: &mut Call<'_>) -> Outputs {
    let (x, y) = pair(call)?;
    let (dtype, power) = (call.value_ty(x).dtype, call.value_ty(y).dtype);
    // A power of integers by a fraction is computed as a fraction.
    let computed = match (carrier(dtype)?, carrier(power)?) {
        (DType::F64, _) | (_, DType::F64) => DType::F64,
        (DType::F32, _) | (_, DType::F32) => DType::F32,
        _ => DType::I64,
    };
    let (x, y) = (call.cast(x, computed)?, call.cast(y, computed)?);
    let z = binary(call, BinaryKind::Power, x, y)?;
    Ok(vec![call.cast(z, dtype)?.into()])
}

/// The largest of each element.
pub fn max(call: &mut Call<'_>) -> Outputs {
    extreme(call, Arithmetic::Maximum, BinaryKind::Maximum)
}

/// The smallest of each element.
pub fn min(call: &mut Call<'_>) -> Outputs {
    extreme(call, Arithmetic::Minimum, BinaryKind::Minimum)
}

fn extreme(call: &mut Call<'_>, on_sizes: Arithmetic, kind: BinaryKind) -> Outputs {
    call.attributes.ignore(if call.opset() < 6 { ["consumed_inputs"] } else { [""] });
    if call.input_count() == 2
        && let (Some(a), Some(b)) = (call.sizes(0, "data_0")?, call.sizes(1, "data_0")?)
        && let Some(sizes) = a.combine(on_sizes, &b)
    {
        return Ok(vec![sizes.into()]);
    }
    let values = operands(call)?;
    let dtype = call.value_ty(values[0]).dtype;
    let mut wide = Vec::with_capacity(values.len());
    for value in values {
        wide.push(widen(call, value)?);
    }
    let joined = fold(call, kind, &wide)?;
    Ok(vec![call.cast(joined, dtype)?.into()])
}

/// The sum of all inputs.
pub fn sum(call: &mut Call<'_>) -> Outputs {
    total(call, false)
}

/// The mean of all inputs.
pub fn mean(call: &mut Call<'_>) -> Outputs {
    total(call, true)
}

fn total(call: &mut Call<'_>, is_mean: bool) -> Outputs {
    call.attributes.ignore(if call.opset() < 6 { ["consumed_inputs"] } else { [""] });
    let values = operands(call)?;
    let dtype = call.value_ty(values[0]).dtype;
    let mut wide = Vec::with_capacity(values.len());
    for value in values {
        wide.push(widen(call, value)?);
    }
    let mut y = fold(call, BinaryKind::Add, &wide)?;
    if is_mean && wide.len() > 1 {
        let count = scalar(call, carrier(dtype)?, wide.len() as i64);
        y = binary(call, BinaryKind::Divide, y, count)?;
    }
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// All inputs, which have one type; at least one.
fn operands(call: &mut Call<'_>) -> Result<Vec<ValueId>, Problem> {
    let values = call.values("data_0")?;
    let dtype = call.value_ty(values[0]).dtype;
    let other = values.iter().position(|&value| call.value_ty(value).dtype != dtype);
    match other {
        None => Ok(values),
        Some(index) => Err(NodeProblem::Input {
            index,
            input: "data_0",
            found: call.value_ty(values[index]).dtype.to_string(),
            expected: format!("{dtype} as the first input is"),
        }
        .into()),
    }
}

fn fold(call: &mut Call<'_>, kind: BinaryKind, values: &[ValueId]) -> Result<ValueId, Problem> {
    let mut joined = values[0];
    for &value in &values[1..] {
        joined = binary(call, kind, joined, value)?;
    }
    Ok(joined)
}
