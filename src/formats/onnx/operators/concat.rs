//! Tensors one after another along an axis.

use crate::formats::onnx::attributes::missing;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{LIMIT, Sizes};
use crate::ops::Concat;

/// Joins the inputs along `axis`.
pub fn concat(call: &mut Call<'_>) -> Outputs {
    let axis = call.attributes.int("axis")?.ok_or_else(|| missing("axis"))?;
    let first = call.operand(0, "inputs")?;
    let rank = call.ty(&first).rank();
    let axis = call.axis("axis", axis, rank)?;
    if rank == 1
        && let Some(joined) = joined_sizes(call)?
    {
        return Ok(vec![joined.into()]);
    }
    let values = call.values("inputs")?;
    match values[..] {
        [only] => Ok(vec![only.into()]),
        _ => Ok(vec![call.add(Concat { axis }, &values)?.into()]),
    }
}

/// The inputs joined as lists of sizes, if all of them are such.
fn joined_sizes(
    call: &mut Call<'_>,
) -> Result<Option<Sizes>, crate::formats::onnx::error::Problem> {
    let mut elements = Vec::new();
    let mut dtype = None;
    for index in 0..call.input_count() {
        let Some(sizes) = call.sizes(index, "inputs")? else { return Ok(None) };
        dtype = dtype.or(Some(sizes.dtype));
        elements.extend(sizes.elements);
    }
    let fits = elements.len() <= LIMIT;
    Ok(dtype.filter(|_| fits).map(|dtype| Sizes::list(dtype, elements)))
}
