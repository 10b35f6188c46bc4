//! The sizes of a tensor, and the number of its elements.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes, product};
use crate::graph::DType;

/// The sizes of `data`, from axis `start` to before axis `end`. They are known up to the sizes of the
/// inputs, so no node is left.
pub fn shape(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let dims = call.ty(&data).dims;
    let rank = dims.len() as i64;
    let place = |axis: i64| {
        let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
        axis.clamp(0, rank) as usize
    };
    let start = place(call.attributes.int_or("start", 0)?);
    let end = place(call.attributes.int_or("end", rank)?);
    let taken = dims.get(start..end.max(start)).unwrap_or_default();
    Ok(vec![Sizes::list(DType::I64, taken.iter().cloned().map(Size::from).collect()).into()])
}

/// How many elements `data` has.
pub fn size(call: &mut Call<'_>) -> Outputs {
    let data = call.operand(0, "data")?;
    let count = product(call.ty(&data).dims);
    Ok(vec![Sizes::scalar(DType::I64, count.into()).into()])
}
