//! Functions of truth values and of bits.

use super::numeric::{binary, one_type, pair, unary, widen};
use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::DType;
use crate::ops::{BinaryKind, UnaryKind};

/// Whether both hold.
pub fn and(call: &mut Call<'_>) -> Outputs {
    logical(call, BinaryKind::And)
}

/// Whether at least one holds.
pub fn or(call: &mut Call<'_>) -> Outputs {
    logical(call, BinaryKind::Or)
}

/// Whether exactly one holds.
pub fn xor(call: &mut Call<'_>) -> Outputs {
    logical(call, BinaryKind::Xor)
}

fn logical(call: &mut Call<'_>, kind: BinaryKind) -> Outputs {
    let (a, b) = pair(call)?;
    Ok(vec![binary(call, kind, a, b)?.into()])
}

/// Whether it does not hold.
pub fn not(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "X")?;
    Ok(vec![unary(call, UnaryKind::Not, x)?.into()])
}

/// Bits that both have.
pub fn bitwise_and(call: &mut Call<'_>) -> Outputs {
    bitwise(call, BinaryKind::BitAnd)
}

/// Bits that at least one has.
pub fn bitwise_or(call: &mut Call<'_>) -> Outputs {
    bitwise(call, BinaryKind::BitOr)
}

/// Bits that exactly one has.
pub fn bitwise_xor(call: &mut Call<'_>) -> Outputs {
    bitwise(call, BinaryKind::BitXor)
}

fn bitwise(call: &mut Call<'_>, kind: BinaryKind) -> Outputs {
    let (a, b) = (call.value(0, "A")?, call.value(1, "B")?);
    let dtype = one_type(call, a, b, "B")?;
    integers(dtype)?;
    let (a, b) = (widen(call, a)?, widen(call, b)?);
    let c = binary(call, kind, a, b)?;
    Ok(vec![call.cast(c, dtype)?.into()])
}

/// Bits that it does not have.
pub fn bitwise_not(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "X")?;
    let dtype = call.value_ty(x).dtype;
    integers(dtype)?;
    let x = widen(call, x)?;
    let y = unary(call, UnaryKind::BitNot, x)?;
    Ok(vec![call.cast(y, dtype)?.into()])
}

/// The bits of `X` moved by `Y`: up or down, as `direction` says.
pub fn bit_shift(call: &mut Call<'_>) -> Outputs {
    let direction = call.attributes.string("direction")?.ok_or_else(|| missing("direction"))?;
    let kind = match direction {
        "LEFT" => BinaryKind::ShiftLeft,
        "RIGHT" => BinaryKind::ShiftRight,
        other => return Err(bad("direction", format!("\"{other}\""), "\"LEFT\" or \"RIGHT\"")),
    };
    let (x, y) = (call.value(0, "X")?, call.value(1, "Y")?);
    let dtype = one_type(call, x, y, "Y")?;
    integers(dtype)?;
    let (x, y) = (widen(call, x)?, widen(call, y)?);
    let z = binary(call, kind, x, y)?;
    Ok(vec![call.cast(z, dtype)?.into()])
}

fn integers(dtype: DType) -> Result<(), Problem> {
    match dtype.is_int() {
        true => Ok(()),
        false => Err(unsupported(format!("bits of {dtype}"), "cast to an integer first")),
    }
}
