//! The product of two matrices with factors and an addend.

use super::numeric::{binary, fraction, one_type, widen};
use super::product::product;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::graph::{DType, ValueId};
use crate::ops::{Activation, BinaryKind, Dense, Transpose};

/// `alpha · A' · B' + beta · C`, where `A'` is `A` or its transpose by `transA`, and so `B'`.
pub fn gemm(call: &mut Call<'_>) -> Outputs {
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    let beta = call.attributes.float_or("beta", 1.0)?;
    let (turn_a, turn_b) =
        (call.attributes.flag_or("transA", false)?, call.attributes.flag_or("transB", false)?);
    if call.opset() < 7 {
        // It is repeated as NumPy does in any case.
        call.attributes.ignore(["broadcast"]);
    }
    let (a, b) = (call.value(0, "A")?, call.value(1, "B")?);
    for (index, input, value) in [(0, "A", a), (1, "B", b)] {
        let ty = call.value_ty(value);
        if ty.rank() != 2 {
            let (found, expected) = (ty.to_string(), "a matrix".to_owned());
            return Err(NodeProblem::Input { index, input, found, expected }.into());
        }
    }
    let dtype = one_type(call, a, b, "B")?;
    let (a, b) = (widen(call, a)?, widen(call, b)?);
    let (a, b) = (turned(call, a, turn_a)?, turned(call, b, turn_b)?);
    let c = call.optional_value(2)?;
    let c = c.map(|c| widen(call, c)).transpose()?;
    let is_float = call.value_ty(a).dtype == DType::F32;
    // A fully connected layer, the bias of which is a row.
    let is_row = c.is_some_and(|c| {
        let (bias, columns) = (&call.value_ty(c).dims, call.value_ty(b).dims.get(1));
        bias.len() == 1 && bias.first() == columns
    });
    if alpha == 1.0 && beta == 1.0 && is_row && is_float {
        let dense = Dense { contract: 1, activation: Activation::Linear };
        let y = call.add_node(dense, vec![Some(a), Some(b), c])?[0];
        return Ok(vec![call.cast(y, dtype)?.into()]);
    }
    let y = product(call, a, b)?;
    let mut y = scaled(call, y, alpha, "alpha")?;
    if let Some(c) = c {
        let c = scaled(call, c, beta, "beta")?;
        y = binary(call, BinaryKind::Add, y, c)?;
    }
    Ok(vec![call.cast(y, dtype)?.into()])
}

fn turned(call: &mut Call<'_>, matrix: ValueId, is_turned: bool) -> Result<ValueId, Problem> {
    match is_turned {
        true => call.add(Transpose { permutation: vec![1, 0] }, &[matrix]),
        false => Ok(matrix),
    }
}

fn scaled(
    call: &mut Call<'_>,
    x: ValueId,
    factor: f32,
    attribute: &str,
) -> Result<ValueId, Problem> {
    if factor == 1.0 {
        return Ok(x);
    }
    let dtype = call.value_ty(x).dtype;
    if !dtype.is_float() {
        return Err(bad(attribute, factor.to_string(), "1 for integers"));
    }
    let factor = call.constant(fraction(dtype, f64::from(factor)));
    binary(call, BinaryKind::Multiply, x, factor)
}
