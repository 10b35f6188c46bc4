//! Softmax, its logarithm, and the place of the largest element.

use super::compose;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::product;
use crate::formats::onnx::error::Problem;
use crate::graph::{DType, Source, Tensor, ValueId};
use crate::ops::{BinaryKind, Cast, Cumsum, ReduceKind, Softmax};

/// `e^x` over its sum.
pub fn softmax(call: &mut Call<'_>) -> Outputs {
    along(call, |call, x, axis| call.add(Softmax { axis, log: false }, &[x]))
}

/// The logarithm of [`softmax`].
pub fn log_softmax(call: &mut Call<'_>) -> Outputs {
    along(call, |call, x, axis| call.add(Softmax { axis, log: true }, &[x]))
}

/// 1 at the first of the largest elements, else 0.
pub fn hardmax(call: &mut Call<'_>) -> Outputs {
    along(call, |call, x, axis| {
        let largest = compose::reduced(call, ReduceKind::Max, x, axis, 1)?;
        let is_largest = compose::binary(call, BinaryKind::Equal, x, largest)?;
        let counted = call.cast(is_largest, DType::I32)?;
        let counted = call.add(Cumsum { axis }, &[counted])?;
        let one = call.constant(Tensor::scalar(1i32));
        let is_first = compose::binary(call, BinaryKind::Equal, counted, one)?;
        let is_it = compose::binary(call, BinaryKind::And, is_largest, is_first)?;
        call.cast(is_it, DType::F32)
    })
}

/// The input, and its type. What was widened to `f64` before is taken as it was: the result then is as
/// exact as those numbers are.
fn numbers(call: &mut Call<'_>) -> Result<(ValueId, DType), Problem> {
    let x = call.value(0, "input")?;
    if call.value_ty(x).dtype == DType::F64
        && let Source::Node { node, .. } = call.lowering.graph.value(x).source
        && let node = call.lowering.graph.node(node)
        && node.op.downcast_ref::<Cast>().is_some()
        && let Some(&Some(narrow)) = node.inputs.first()
        && call.value_ty(narrow).dtype == DType::F32
    {
        return Ok((narrow, DType::F64));
    }
    compose::float(call, 0, "input")
}

/// Applies `body` along `axis`; before version 13 along that axis and those behind it taken together.
fn along(
    call: &mut Call<'_>,
    body: impl FnOnce(&mut Call<'_>, ValueId, usize) -> Result<ValueId, Problem>,
) -> Outputs {
    let (x, dtype) = numbers(call)?;
    let together = call.opset() < 13;
    let axis = call.attributes.int_or("axis", if together { 1 } else { -1 })?;
    let dims = call.value_ty(x).dims.clone();
    let rank = dims.len();
    // The end of the axes was an axis too: no elements together.
    let axis = match together && usize::try_from(axis) == Ok(rank) {
        true => rank,
        false => call.axis("axis", axis, rank)?,
    };
    let y = if together && axis + 1 != rank {
        let (front, behind) = dims.split_at(axis);
        let flat = [product(front.iter().cloned()), product(behind.iter().cloned())];
        let flat = compose::shaped(call, x, flat)?;
        let y = body(call, flat, 1)?;
        compose::shaped(call, y, dims)?
    } else {
        body(call, x, axis)?
    };
    Ok(vec![compose::like(call, y, dtype)?.into()])
}
