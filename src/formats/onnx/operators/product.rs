//! The product of matrices of any number.

use super::numeric::{binary, widen};
use crate::formats::onnx::call::Call;
use crate::formats::onnx::error::{Problem, unsupported};
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{BinaryKind, MatMul, Reduce, ReduceKind, Reshape};

/// `a · b` for `a` `[…, rows, depth]` and `b` `[…, depth, columns]`, in the type that they are computed in.
/// Integers are multiplied one by one and summed.
///
/// # Errors
/// If they do not fit.
pub fn product(call: &mut Call<'_>, a: ValueId, b: ValueId) -> Result<ValueId, Problem> {
    let (a, b) = (widen(call, a)?, widen(call, b)?);
    if call.value_ty(a).dtype == DType::F32 {
        return call.add(MatMul, &[a, b]);
    }
    let (mut left, mut right) = (call.value_ty(a).dims.clone(), call.value_ty(b).dims.clone());
    if left.len() < 2 || right.len() < 2 {
        return Err(unsupported("a product of fewer than 2 dimensions", "give it two"));
    }
    left.push(Dim::Known(1));
    right.insert(right.len() - 2, Dim::Known(1));
    let first = left.len().max(right.len()) - 2;
    let (a, b) = (call.add(Reshape::to(left), &[a])?, call.add(Reshape::to(right), &[b])?);
    let products = binary(call, BinaryKind::Multiply, a, b)?;
    let reduce = Reduce { kind: ReduceKind::Sum, first, count: 1, keepdims: false };
    call.add(reduce, &[products])
}
