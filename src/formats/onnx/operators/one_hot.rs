//! Classes as rows.

use super::numeric::{binary, carrier, scalar};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::NodeProblem;
use crate::graph::{DType, TensorType};
use crate::ops::{AxisSlice, BinaryKind, OneHot, Reshape, Select, Slice};

/// The second of `values` where the new axis stands at the class in `indices`, the first elsewhere. A
/// negative class counts from the end; one that is not there gives the first throughout.
pub fn one_hot(call: &mut Call<'_>) -> Outputs {
    let (indices, values) = (call.value(0, "indices")?, call.value(2, "values")?);
    let ty = call.value_ty(indices).clone();
    let dtype = call.value_ty(values).dtype;
    let axis = call.attributes.int_or("axis", -1)?;
    let axis = call.axis("axis", axis, ty.rank() + 1)?;
    let Some(depth) = call.known(1, "depth")? else {
        let mut dims = ty.dims;
        dims.insert(axis, call.fresh_dim());
        return call.late(&[1], vec![TensorType::new(dtype, dims)]);
    };
    let count = depth.data().cast(DType::I64).ok().and_then(|data| data.to_i64());
    let count = match count.as_deref() {
        Some([count]) => usize::try_from(*count).ok(),
        _ => None,
    };
    let depth = count.ok_or_else(|| NodeProblem::Input {
        index: 1,
        input: "depth",
        found: format!("{:?} of shape {:?}", depth.data(), depth.shape()),
        expected: "one number that is not negative".to_owned(),
    })?;
    carrier(ty.dtype)?;
    let classes = call.cast(indices, DType::I64)?;
    let (zero, size) = (scalar(call, DType::I64, 0), scalar(call, DType::I64, depth as i64));
    let is_negative = binary(call, BinaryKind::Less, classes, zero)?;
    let from_end = binary(call, BinaryKind::Add, classes, size)?;
    let classes = call.add(Select, &[is_negative, from_end, classes])?;
    let hot = call.add(OneHot { depth, axis, dtype: DType::Bool }, &[classes])?;
    let mut sides = Vec::with_capacity(2);
    for index in [1, 0] {
        let slice = AxisSlice { axis: 0, start: Some(index), stop: Some(index + 1), step: 1 };
        let side = call.add(Slice { axes: vec![slice] }, &[values])?;
        sides.push(call.add(Reshape::to(Vec::new()), &[side])?);
    }
    Ok(vec![call.add(Select, &[hot, sides[0], sides[1]])?.into()])
}
