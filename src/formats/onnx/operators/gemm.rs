//! The product of two matrices with factors and an addend.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::Problem;
use crate::graph::{Tensor, ValueId};
use crate::ops::{Activation, Binary, BinaryKind, Dense, MatMul, Transpose};

/// `alpha · A' · B' + beta · C`, where `A'` is `A` or its transpose by `transA`, and so `B'`.
pub fn gemm(call: &mut Call<'_>) -> Outputs {
    let alpha = call.attributes.float_or("alpha", 1.0)?;
    let beta = call.attributes.float_or("beta", 1.0)?;
    let (turn_a, turn_b) =
        (call.attributes.flag_or("transA", false)?, call.attributes.flag_or("transB", false)?);
    let (a, b) = (call.value(0, "A")?, call.value(1, "B")?);
    let (a, b) = (turned(call, a, turn_a)?, turned(call, b, turn_b)?);
    let c = call.optional_value(2)?;
    // A fully connected layer, the bias of which is a row.
    let is_row = c.is_some_and(|c| {
        let (bias, columns) = (&call.value_ty(c).dims, call.value_ty(b).dims.get(1));
        bias.len() == 1 && bias.first() == columns
    });
    if alpha == 1.0 && beta == 1.0 && is_row {
        let dense = Dense { contract: 1, activation: Activation::Linear };
        return Ok(vec![call.add_node(dense, vec![Some(a), Some(b), c])?[0].into()]);
    }
    let product = call.add(MatMul, &[a, b])?;
    let mut y = scaled(call, product, alpha)?;
    if let Some(c) = c {
        let c = scaled(call, c, beta)?;
        y = call.add(Binary { kind: BinaryKind::Add }, &[y, c])?;
    }
    Ok(vec![y.into()])
}

fn turned(call: &mut Call<'_>, matrix: ValueId, is_turned: bool) -> Result<ValueId, Problem> {
    match is_turned {
        true => call.add(Transpose { permutation: vec![1, 0] }, &[matrix]),
        false => Ok(matrix),
    }
}

fn scaled(call: &mut Call<'_>, x: ValueId, factor: f32) -> Result<ValueId, Problem> {
    if factor == 1.0 {
        return Ok(x);
    }
    let factor = call.constant(Tensor::scalar(factor));
    call.add(Binary { kind: BinaryKind::Multiply }, &[x, factor])
}
