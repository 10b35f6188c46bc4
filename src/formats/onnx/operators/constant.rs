//! Constants.

use super::expand::length;
use crate::formats::onnx::attributes::bad;
use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::contents::Size;
use crate::formats::onnx::error::{NodeProblem, unsupported};
use crate::formats::onnx::operand::Operand;
use crate::graph::{Data, Dim, Tensor, TensorType};
use crate::ops::BroadcastTo;

/// The tensor in one of the attributes.
pub fn constant(call: &mut Call<'_>) -> Outputs {
    let list = |data: Data| Tensor::new(vec![data.len()], data);
    let tensor = if let Some(proto) = call.attributes.tensor("value")? {
        call.tensor(proto)?
    } else if let Some(value) = call.attributes.float("value_float")? {
        Tensor::scalar(value)
    } else if let Some(values) = call.attributes.floats("value_floats")? {
        list(values.to_vec().into()).map_err(crate::graph::GraphError::from)?
    } else if let Some(value) = call.attributes.int("value_int")? {
        Tensor::scalar(value)
    } else if let Some(values) = call.attributes.ints("value_ints")? {
        list(values.to_vec().into()).map_err(crate::graph::GraphError::from)?
    } else if let Some(value) = call.attributes.string("value_string")? {
        Tensor::scalar(value.to_owned())
    } else if let Some(values) = call.attributes.strings("value_strings")? {
        let texts: Vec<String> = values.into_iter().map(str::to_owned).collect();
        list(texts.into()).map_err(crate::graph::GraphError::from)?
    } else {
        return Err(unsupported(
            "a Constant without value, value_float, value_int, value_string or lists of them",
            "write a dense value",
        ));
    };
    Ok(vec![Operand::known(tensor)])
}

/// A tensor of the sizes `input` that holds `value` throughout, or `f32` zeros.
pub fn constant_of_shape(call: &mut Call<'_>) -> Outputs {
    let value = match call.attributes.tensor("value")? {
        Some(proto) => call.tensor(proto)?,
        None => Tensor::scalar(0.0f32),
    };
    if value.len() != 1 {
        return Err(bad("value", format!("{} elements", value.len()), "one"));
    }
    let dtype = value.dtype();
    let value = Tensor::new([], value.into_data()).map_err(crate::graph::GraphError::from)?;
    let Some(shape) = call.sizes(0, "input")? else {
        let rank = length(call, 0, "input")?;
        let dims: Vec<Dim> = (0..rank).map(|_| call.fresh_dim()).collect();
        return call.late(&[0], vec![TensorType::new(dtype, dims)]);
    };
    let dims: Option<Vec<Dim>> = shape.elements.iter().map(Size::dim).collect();
    let dims = dims.ok_or_else(|| NodeProblem::Input {
        index: 0,
        input: "input",
        found: format!("{:?}", shape.elements),
        expected: "sizes".to_owned(),
    })?;
    let value = call.constant(value);
    Ok(vec![call.add(BroadcastTo { dims }, &[value])?.into()])
}
