//! The calls of a layer: `inbound_nodes`.

use serde_json::{Map, Value, json};

use super::reference::References;
use super::{class_name, name_of, unsupported};
use crate::formats::FormatError;
use crate::formats::keras::json as text_of;
use crate::formats::keras::layers::KERAS2;

/// Layers that Keras 2 called with their initial states behind the sequence, in one list.
const RECURRENT: [&str; 7] =
    ["RNN", "SimpleRNN", "LSTM", "GRU", "CuDNNLSTM", "CuDNNGRU", "Bidirectional"];

/// Brings `inbound_nodes` into the form `{"args": […], "kwargs": {…}}`. Gives operators that take
/// the masks off tensors which the layer is called on with `mask=None`: Keras 3 heeds them there.
///
/// # Errors
/// If a call is not of the form that Keras gives it.
pub fn upgrade(layer: &mut Value, references: &References) -> Result<Vec<Value>, FormatError> {
    let mut unmasking = Vec::new();
    let nodes = match layer.get("inbound_nodes") {
        None | Some(Value::Null) => return Ok(unmasking),
        Some(Value::Array(nodes)) => nodes,
        Some(_) => return Err(unsupported(layer, "its inbound_nodes are no list")),
    };
    let recurrent = RECURRENT.contains(&class_name(layer));
    let causal = layer.pointer("/config/causal") == Some(&Value::Bool(true));
    let mut upgraded = Vec::with_capacity(nodes.len());
    for node in nodes {
        let (mut argument, mut kwargs) = call(layer, node, references)?;
        // One tensor in a list is that tensor.
        if let Value::Array(items) = &mut argument
            && let [_] = items.as_slice()
        {
            argument = items.remove(0);
        }
        if let (true, Value::Array(items)) = (recurrent, &mut argument) {
            let states = items.split_off(1.min(items.len()));
            argument = items.pop().unwrap_or(Value::Null);
            kwargs.insert("initial_state".to_owned(), Value::Array(states));
            kwargs.insert(KERAS2.to_owned(), Value::Bool(true));
        }
        let (explicit, null) = (kwargs.get("mask"), Value::Null);
        if explicit == Some(&null) {
            kwargs.remove("mask");
            unmask(layer, &mut argument, &mut unmasking);
        }
        if causal {
            kwargs.insert("use_causal_mask".to_owned(), Value::Bool(true));
        }
        upgraded.push(json!({"args": [argument], "kwargs": kwargs}));
    }
    let constants = layer.pointer("/config/num_constants").and_then(Value::as_u64);
    if recurrent && constants.unwrap_or(0) > 0 {
        return Err(unsupported(layer, "constants of a recurrent layer"));
    }
    if let Some(nodes) = layer.get_mut("inbound_nodes") {
        *nodes = Value::Array(upgraded);
    }
    Ok(unmasking)
}

/// Puts an operator that gives its tensor without a mask in front of each tensor of an argument.
fn unmask(layer: &Value, argument: &mut Value, operators: &mut Vec<Value>) {
    match argument {
        Value::Array(items) => items.iter_mut().for_each(|item| unmask(layer, item, operators)),
        Value::Object(map) if map.get("class_name") == Some(&json!("__keras_tensor__")) => {
            let name = format!("{}/unmasked/{}", name_of(layer), operators.len());
            let all = json!({"class_name": "__ellipsis__", "config": {}});
            operators.push(json!({
                "module": "keras.src.ops.numpy",
                "class_name": "GetItem",
                "name": name,
                "config": {"name": name},
                "inbound_nodes": [{"args": [map, all], "kwargs": {}}],
            }));
            map.insert("config".to_owned(), json!({"keras_history": [name, 0, 0]}));
        }
        Value::Object(map) => map.values_mut().for_each(|item| unmask(layer, item, operators)),
        _ => {}
    }
}

/// The first argument of a call, which may be a structure of tensors and constants, and the others
/// by name.
pub fn call(
    layer: &Value,
    node: &Value,
    references: &References,
) -> Result<(Value, Map<String, Value>), FormatError> {
    let mut kwargs = Map::new();
    let argument = first(layer, node, references, &mut kwargs)?;
    Ok((argument, kwargs))
}

fn first(
    layer: &Value,
    node: &Value,
    references: &References,
    kwargs: &mut Map<String, Value>,
) -> Result<Value, FormatError> {
    let note = |given: &Map<String, Value>| {
        for (key, value) in given {
            kwargs.insert(key.clone(), references.argument(value));
        }
    };
    match node {
        Value::Array(items) => {
            if let Some((tensor, given)) = references.tensor(items) {
                given.into_iter().for_each(note);
                return Ok(tensor);
            }
            if let [Value::String(mark), _, constant, rest @ ..] = items.as_slice()
                && mark == "_CONSTANT_VALUE"
            {
                rest.iter().filter_map(Value::as_object).for_each(note);
                return Ok(constant.clone());
            }
            let parts = items.iter().map(|item| first(layer, item, references, kwargs));
            parts.collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Object(entries) => entries
            .iter()
            .map(|(key, item)| Ok((key.clone(), first(layer, item, references, kwargs)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        other => {
            let what =
                format!("a call on {}, which is no tensor of the model", text_of::show(other));
            Err(unsupported(layer, what))
        }
    }
}
