//! The same elements under another shape.

use super::expand::length;
use crate::formats::onnx::attributes::missing;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::{Size, Sizes, divide, product};
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::graph::{DType, Dim, TensorType};
use crate::ops::Reshape;

/// Gives `data` the shape in `shape`: `-1` follows from the others, `0` is the input's size there unless
/// `allowzero` says that it is a size.
pub fn reshape(call: &mut Call<'_>) -> Outputs {
    let allow_zero = call.attributes.flag_or("allowzero", false)?;
    let data = call.operand(0, "data")?;
    let ty = call.ty(&data);
    let shape = match call.opset() {
        ..5 => {
            let shape = call.attributes.ints("shape")?.ok_or_else(|| missing("shape"))?;
            let elements = shape.iter().map(|&size| Size::Known(size)).collect();
            Some(Sizes::list(DType::I64, elements))
        }
        _ => call.sizes(1, "shape")?,
    };
    let Some(shape) = shape else {
        let rank = length(call, 1, "shape")?;
        let dims: Vec<Dim> = (0..rank).map(|_| call.fresh_dim()).collect();
        return call.late(&[1], vec![TensorType::new(ty.dtype, dims)]);
    };
    let (dims, inferred) = target(&ty, &shape, allow_zero)?;
    // A list of sizes under another shape of one dimension or none.
    if let Some(sizes) = data.sizes()
        && let Some(known) = dims.iter().map(Dim::known).collect::<Option<Vec<usize>>>()
        && known.iter().product::<usize>() == sizes.elements.len()
    {
        return Ok(vec![Sizes { shape: known, ..sizes }.into()]);
    }
    let x = call.materialize(&data)?;
    Ok(vec![call.add(Reshape { dims, inferred }, &[x])?.into()])
}

/// The sizes asked for, and the axis whose size follows from the others.
fn target(
    ty: &TensorType,
    shape: &Sizes,
    allow_zero: bool,
) -> Result<(Vec<Dim>, Option<usize>), Problem> {
    let refuse = |found: String| {
        Problem::from(NodeProblem::Input {
            index: 1,
            input: "shape",
            found,
            expected: "sizes, 0 for those of the input, and at most one -1".to_owned(),
        })
    };
    if shape.shape.len() != 1 {
        return Err(refuse(format!("of {} dimensions", shape.shape.len())));
    }
    let mut dims = Vec::with_capacity(shape.elements.len());
    let mut inferred = None;
    for (axis, size) in shape.elements.iter().enumerate() {
        dims.push(match size {
            Size::Known(-1) if inferred.is_none() => {
                inferred = Some(axis);
                Dim::Known(1)
            }
            Size::Known(0) if !allow_zero => {
                let size = ty.dims.get(axis).cloned();
                size.ok_or_else(|| refuse(format!("0 at {axis}, where {ty} has no axis")))?
            }
            size => size.dim().ok_or_else(|| refuse(format!("{:?} at {axis}", size.known())))?,
        });
    }
    if let Some(axis) = inferred {
        let rest = product(dims.iter().cloned());
        dims[axis] = match rest.known() {
            Some(0) => Dim::Known(0),
            _ => divide(product(ty.dims.iter().cloned()), rest)
                .ok_or_else(|| refuse("-1 beside a size of 0".to_owned()))?,
        };
    }
    Ok((dims, inferred))
}
