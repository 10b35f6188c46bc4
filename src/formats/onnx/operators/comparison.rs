//! Relations of two tensors, which are repeated as NumPy does.

use super::numeric::{binary, one_type, pair, widen};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::operand::Operand;
use crate::graph::DType;
use crate::ops::BinaryKind;

/// `A = B`, of any type.
pub fn equal(call: &mut Call<'_>) -> Outputs {
    if call.opset() >= 7
        && let (Some(a), Some(b)) = (call.sizes(0, "A")?, call.sizes(1, "B")?)
        && let Some(equal) = a.equals(&b)
    {
        return Ok(vec![Operand::known(equal)]);
    }
    let (a, b) = pair(call)?;
    let dtype = one_type(call, a, b, "B")?;
    let (a, b) = match dtype {
        DType::Bool | DType::Str => (a, b),
        _ => (widen(call, a)?, widen(call, b)?),
    };
    Ok(vec![binary(call, BinaryKind::Equal, a, b)?.into()])
}

/// `A < B`.
pub fn less(call: &mut Call<'_>) -> Outputs {
    compare(call, BinaryKind::Less)
}

/// `A ≤ B`.
pub fn less_or_equal(call: &mut Call<'_>) -> Outputs {
    compare(call, BinaryKind::LessEqual)
}

/// `A > B`.
pub fn greater(call: &mut Call<'_>) -> Outputs {
    compare(call, BinaryKind::Greater)
}

/// `A ≥ B`.
pub fn greater_or_equal(call: &mut Call<'_>) -> Outputs {
    compare(call, BinaryKind::GreaterEqual)
}

fn compare(call: &mut Call<'_>, kind: BinaryKind) -> Outputs {
    let (a, b) = pair(call)?;
    one_type(call, a, b, "B")?;
    let (a, b) = (widen(call, a)?, widen(call, b)?);
    Ok(vec![binary(call, kind, a, b)?.into()])
}
