//! A subgraph over and over.

use crate::formats::onnx::call::{Call, Outputs};
use crate::formats::onnx::error::Problem;
use crate::graph::{DType, TensorType, ValueId};
use crate::ops::Loop;

/// Runs `body` at most `M` times, as long as the condition holds: the carried values after the last
/// round, then what each round gave, stacked.
pub fn repeat(call: &mut Call<'_>) -> Outputs {
    let body = call.attributes.graph("body")?;
    let (count, condition) = (call.optional_value(0)?, call.optional_value(1)?);
    let states: Vec<ValueId> = (Loop::FIRST..call.input_count())
        .map(|index| call.value(index, "v_initial"))
        .collect::<Result<_, Problem>>()?;
    let mut types = vec![TensorType::known(DType::I64, &[]), TensorType::known(DType::Bool, &[])];
    types.extend(states.iter().map(|value| call.value_ty(*value).clone()));
    let rounds: Vec<(usize, usize)> =
        (0..states.len()).map(|index| (Loop::FIRST + index, 1 + index)).collect();
    let body = call.body(body, &types, &rounds)?;
    let carried = states.len();
    let values: Vec<ValueId> = states.into_iter().chain(body.captures).collect();
    let op = call.operator(|graph| Loop::new(graph, body.graph, carried, &values))?;
    let inputs = [count, condition].into_iter().chain(values.into_iter().map(Some)).collect();
    Ok(call.add_node(op, inputs)?.into_iter().map(Into::into).collect())
}
