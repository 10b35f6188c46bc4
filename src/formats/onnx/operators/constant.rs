//! Constants.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::unsupported;
use crate::formats::onnx::operand::Operand;
use crate::graph::{Data, Tensor};

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
