//! Arithmetic on two tensors, which are repeated as NumPy does.

use super::numeric::{binary, carrier, one_type, ordered, pair, restored, scalar, widen};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Arithmetic, Size, Sizes};
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::graph::{DType, Tensor, ValueId};
use crate::ops::{BinaryKind, Select};

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
    let c = match (kind, dtype) {
        (BinaryKind::Divide, DType::U64) => unsigned_quotient(call, a, b)?,
        _ => {
            let (a, b) = (widen(call, a)?, widen(call, b)?);
            binary(call, kind, a, b)?
        }
    };
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
    if dtype.is_float() && !is_c {
        let value = "0 for floating point numbers";
        return Err(crate::formats::onnx::attributes::bad("fmod", value, "1 for them"));
    }
    if dtype == DType::U64 {
        let quotient = unsigned_quotient(call, a, b)?;
        let (a, b) = (widen(call, a)?, widen(call, b)?);
        let product = binary(call, BinaryKind::Multiply, quotient, b)?;
        let rest = binary(call, BinaryKind::Subtract, a, product)?;
        return Ok(vec![call.cast(rest, dtype)?.into()]);
    }
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

/// The quotient of two `u64`, as the bits of an `i64`. Where the divisor is 2⁶³ or more, it is 0 or 1. Elsewhere
/// half of the dividend has a sign and can be divided; twice that quotient is right, or one too small.
fn unsigned_quotient(call: &mut Call<'_>, a: ValueId, b: ValueId) -> Result<ValueId, Problem> {
    use BinaryKind::*;
    let (one, zero) = (scalar(call, DType::I64, 1), scalar(call, DType::I64, 0));
    let (order_b, order_a) = (ordered(call, b)?, ordered(call, a)?);
    let (a, b) = (call.cast(a, DType::I64)?, call.cast(b, DType::I64)?);
    let is_large = binary(call, Less, b, zero)?;
    let fits_once = binary(call, GreaterEqual, order_a, order_b)?;
    let once = call.cast(fits_once, DType::I64)?;
    let half = binary(call, ShiftRight, a, one)?;
    let divisor = call.add(Select, &[is_large, one, b])?;
    let quotient = binary(call, Divide, half, divisor)?;
    let twice = binary(call, ShiftLeft, quotient, one)?;
    let product = binary(call, Multiply, twice, b)?;
    let rest = binary(call, Subtract, a, product)?;
    let lowest = call.constant(Tensor::scalar(i64::MIN));
    let order_rest = binary(call, BitXor, rest, lowest)?;
    let is_short = binary(call, GreaterEqual, order_rest, order_b)?;
    let more = call.cast(is_short, DType::I64)?;
    let small = binary(call, Add, twice, more)?;
    call.add(Select, &[is_large, once, small])
}

/// `X` to the power of `Y`, in the type of `X`.
pub fn pow(call: &mut Call<'_>) -> Outputs {
    let (x, y) = pair(call)?;
    let (dtype, power) = (call.value_ty(x).dtype, call.value_ty(y).dtype);
    // A power of integers by a fraction is computed as a fraction.
    let computed = match dtype.is_int() && power.is_int() {
        true => DType::I64,
        false => DType::F32,
    };
    carrier(dtype)?;
    carrier(power)?;
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
        wide.push(ordered(call, value)?);
    }
    let joined = fold(call, kind, &wide)?;
    Ok(vec![restored(call, joined, dtype)?.into()])
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
