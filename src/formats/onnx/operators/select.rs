//! Choices between tensors: `Where` and `Clip`.

use super::numeric::{binary, widen};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes};
use crate::formats::onnx::error::Problem;
use crate::graph::{DType, Data, Tensor, ValueId};
use crate::ops::{BinaryKind, Reshape, Select};

/// `X` where `condition` holds, else `Y`; the three are repeated as NumPy does.
pub fn choose(call: &mut Call<'_>) -> Outputs {
    if let (Some(condition), Some(x), Some(y)) =
        (call.known(0, "condition")?, call.sizes(1, "X")?, call.sizes(2, "Y")?)
        && let Some(chosen) = chosen(&condition, &x, &y)
    {
        return Ok(vec![chosen.into()]);
    }
    let condition = call.value(0, "condition")?;
    let (x, y) = (call.value(1, "X")?, call.value(2, "Y")?);
    Ok(vec![call.add(Select, &[condition, x, y])?.into()])
}

/// The choice between lists of sizes.
fn chosen(condition: &Tensor, x: &Sizes, y: &Sizes) -> Option<Sizes> {
    let Data::Bool(holds) = condition.data() else { return None };
    let rank = condition.shape().len().max(x.shape.len()).max(y.shape.len());
    let lengths = [holds.len(), x.elements.len(), y.elements.len()];
    let count = lengths.into_iter().find(|&length| length != 1).unwrap_or(1);
    if rank > 1 || x.dtype != y.dtype || lengths.iter().any(|&length| ![1, count].contains(&length))
    {
        return None;
    }
    let place = |length: usize, index: usize| if length == 1 { 0 } else { index };
    let element = |index: usize| -> Option<Size> {
        let from = if *holds.get(place(lengths[0], index))? { x } else { y };
        from.elements.get(place(from.elements.len(), index)).cloned()
    };
    let elements = (0..count).map(element).collect::<Option<_>>()?;
    Some(Sizes { dtype: x.dtype, shape: vec![count; rank], elements })
}

/// `input` between `min` and `max`, each of which may be absent. Up to version 10 they are attributes.
pub fn clip(call: &mut Call<'_>) -> Outputs {
    let input = call.value(0, "input")?;
    let dtype = call.value_ty(input).dtype;
    let (low, high) = if call.opset() < 11 {
        if call.opset() < 6 {
            call.attributes.ignore(["consumed_inputs"]);
        }
        let (low, high) = (call.attributes.float("min")?, call.attributes.float("max")?);
        (bound(call, low, dtype)?, bound(call, high, dtype)?)
    } else {
        (call.optional_value(1)?, call.optional_value(2)?)
    };
    let mut y = widen(call, input)?;
    // A lower bound above the upper one gives way.
    for (limit, kind) in [(low, BinaryKind::Maximum), (high, BinaryKind::Minimum)] {
        if let Some(limit) = limit {
            let limit = flat(call, limit)?;
            let limit = widen(call, limit)?;
            y = binary(call, kind, y, limit)?;
        }
    }
    Ok(vec![call.cast(y, dtype)?.into()])
}

fn bound(call: &mut Call<'_>, limit: Option<f32>, to: DType) -> Result<Option<ValueId>, Problem> {
    let limit = limit.map(|limit| call.constant(Tensor::scalar(limit)));
    limit.map(|limit| call.cast(limit, to)).transpose()
}

/// A single number without dimensions.
fn flat(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Problem> {
    match call.value_ty(x).rank() {
        0 => Ok(x),
        _ => call.add(Reshape::to(Vec::new()), &[x]),
    }
}
