//! Products of matrices.

use super::{Operand, promote};
use crate::formats::FormatError;
use crate::formats::keras::layers::Call;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::MatMul;

/// Adds `matmul(x1, x2)` to the Graph: a vector is a row on the left, a column on the right, and
/// its axis does not stand in the result. Integers are multiplied as `f32`.
///
/// # Errors
/// If an argument is no tensor of at least one axis, or the sizes do not fit.
pub fn matmul(call: &mut Call<'_>) -> Result<ValueId, FormatError> {
    let a = Operand::take(call, 0, "x1")?;
    let b = Operand::take(call, 1, "x2")?;
    let dtype = promote(a.strong(call), b.strong(call)).dtype();
    let (a, b) = (a.value(call, DType::F32)?, b.value(call, DType::F32)?);
    let (left, right) = (call.ty(a).dims.clone(), call.ty(b).dims.clone());
    let (row, column) = (left.len() == 1, right.len() == 1);
    let one = || std::iter::once(Dim::Known(1));
    let a = match row {
        true => call.reshape(a, one().chain(left).collect::<Vec<_>>())?,
        false => a,
    };
    let b = match column {
        true => call.reshape(b, right.into_iter().chain(one()).collect::<Vec<_>>())?,
        false => b,
    };
    let y = call.add(MatMul, &[a, b])?;
    let mut dims = call.ty(y).dims.clone();
    if column {
        dims.pop();
    }
    if row {
        dims.remove(dims.len() - if column { 1 } else { 2 });
    }
    let y = call.reshape(y, dims)?;
    call.cast(y, dtype)
}
