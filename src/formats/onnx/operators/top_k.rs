//! The largest or smallest elements of an axis.

use super::numeric::{ordered, restored};
use crate::formats::onnx::attributes::{bad, missing};
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::Size;
use crate::formats::onnx::error::{NodeProblem, Problem};
use crate::graph::{DType, Dim, TensorType};
use crate::ops::TopK;

/// The `K` largest (or smallest) elements of `axis` and their positions. They come in order, which an
/// operator that asks for none takes too. `K` is an attribute up to version 9, then an input.
pub fn top_k(call: &mut Call<'_>) -> Outputs {
    let x = call.value(0, "X")?;
    let ty = call.value_ty(x).clone();
    let axis = call.attributes.int_or("axis", -1)?;
    let axis = call.axis("axis", axis, ty.rank())?;
    let largest = call.attributes.flag_or("largest", true)?;
    call.attributes.flag_or("sorted", true)?;
    let count = if call.opset() < 10 {
        let count = call.attributes.int("k")?.ok_or_else(|| missing("k"))?;
        Size::Known(count).dim().ok_or_else(|| bad("k", count.to_string(), "a count"))?
    } else {
        match call.sizes(1, "K")? {
            Some(sizes) => single(&sizes.elements)?,
            None => {
                let mut dims = ty.dims;
                dims[axis] = call.fresh_dim();
                let positions = TensorType::new(DType::I64, dims.clone());
                return call.late(&[1], vec![TensorType::new(ty.dtype, dims), positions]);
            }
        }
    };
    let x = ordered(call, x)?;
    let found = call.add_node(TopK { count, axis, largest }, vec![Some(x)])?;
    let values = restored(call, found[0], ty.dtype)?;
    Ok(vec![values.into(), found[1].into()])
}

fn single(elements: &[Size]) -> Result<Dim, Problem> {
    let count = match elements {
        [count] => count.dim(),
        _ => None,
    };
    count.ok_or_else(|| {
        let (found, expected) = (format!("{elements:?}"), "one count".to_owned());
        NodeProblem::Input { index: 1, input: "K", found, expected }.into()
    })
}
