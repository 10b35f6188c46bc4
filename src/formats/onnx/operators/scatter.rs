//! Tensors with some of their elements changed.

use super::gather::positions;
use super::numeric::{ordered, restored, widen};
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::Problem;
use crate::graph::{Operator, ValueId};
use crate::ops::{ScatterElements, ScatterKind, ScatterNd};

/// `data` with elements changed along an axis, to where `indices` says.
pub fn scatter_elements(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let axis = call.attributes.int_or("axis", 0)?;
    let axis = call.axis("axis", axis, call.ty(&data).rank())?;
    let kind = reduction(call)?;
    scattered(call, ScatterElements { axis, kind }, kind)
}

/// `data` with slices changed, to where the tuples of positions in `indices` say.
pub fn scatter_nd(call: &mut Call<'_>) -> Outputs {
    let kind = reduction(call)?;
    scattered(call, ScatterNd { kind }, kind)
}

fn reduction(call: &mut Call<'_>) -> Result<ScatterKind, Problem> {
    match call.attributes.string_or("reduction", "none")? {
        "none" => Ok(ScatterKind::Replace),
        "add" => Ok(ScatterKind::Add),
        "mul" => Ok(ScatterKind::Multiply),
        "max" => Ok(ScatterKind::Maximum),
        "min" => Ok(ScatterKind::Minimum),
        other => {
            let expected = "\"none\", \"add\", \"mul\", \"max\" or \"min\"";
            Err(bad("reduction", format!("\"{other}\""), expected))
        }
    }
}

fn scattered(call: &mut Call<'_>, op: impl Operator, kind: ScatterKind) -> Outputs {
    let (data, updates) = (call.value(0, "data")?, call.value(2, "updates")?);
    let indices = positions(call)?;
    let dtype = call.value_ty(data).dtype;
    type Change = fn(&mut Call<'_>, ValueId) -> Result<ValueId, Problem>;
    let to_order: Change = match kind {
        ScatterKind::Replace => {
            return Ok(vec![call.add(op, &[data, indices, updates])?.into()]);
        }
        ScatterKind::Maximum | ScatterKind::Minimum => ordered,
        ScatterKind::Add | ScatterKind::Multiply => widen,
    };
    let (data, updates) = (to_order(call, data)?, to_order(call, updates)?);
    let y = call.add(op, &[data, indices, updates])?;
    let y = match kind {
        ScatterKind::Maximum | ScatterKind::Minimum => restored(call, y, dtype)?,
        _ => call.cast(y, dtype)?,
    };
    Ok(vec![y.into()])
}
