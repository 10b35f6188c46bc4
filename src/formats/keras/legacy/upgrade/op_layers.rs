//! `TensorFlowOpLayer`: a node of a TensorFlow graph, which TensorFlow 2.0 to 2.3 stored for each
//! function that was called on a tensor of the model.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::functions::Calls;
use super::reference::References;
use super::{calls, unsupported};
use crate::formats::FormatError;

/// Operations of TensorFlow's graphs: the function that they compute, and its arguments by order.
const OPERATIONS: [(&str, &str, &[&str]); 46] = [
    ("Abs", "abs", &[]),
    ("Add", "add", &["y"]),
    ("AddV2", "add", &["y"]),
    ("BatchMatMulV2", "matmul", &["b"]),
    ("BiasAdd", "bias_add", &["bias"]),
    ("Cast", "cast", &[]),
    ("Cos", "cos", &[]),
    ("Elu", "elu", &[]),
    ("Equal", "equal", &["y"]),
    ("Exp", "exp", &[]),
    ("ExpandDims", "expand_dims", &["axis"]),
    ("GatherV2", "gather", &["indices", "axis"]),
    ("Greater", "greater", &["y"]),
    ("GreaterEqual", "greater_equal", &["y"]),
    ("Identity", "identity", &[]),
    ("Less", "less", &["y"]),
    ("LessEqual", "less_equal", &["y"]),
    ("Log", "log", &[]),
    ("LogicalAnd", "logical_and", &["y"]),
    ("LogicalNot", "logical_not", &[]),
    ("LogicalOr", "logical_or", &["y"]),
    ("MatMul", "matmul", &["b"]),
    ("Max", "reduce_max", &["axis"]),
    ("Maximum", "maximum", &["y"]),
    ("Mean", "reduce_mean", &["axis"]),
    ("Min", "reduce_min", &["axis"]),
    ("Minimum", "minimum", &["y"]),
    ("Mul", "multiply", &["y"]),
    ("Neg", "negative", &[]),
    ("NotEqual", "not_equal", &["y"]),
    ("Pow", "pow", &["y"]),
    ("RealDiv", "divide", &["y"]),
    ("Relu", "relu", &[]),
    ("Reshape", "reshape", &["shape"]),
    ("Rsqrt", "rsqrt", &[]),
    ("SelectV2", "where", &["x", "y"]),
    ("Sigmoid", "sigmoid", &[]),
    ("Softmax", "softmax", &[]),
    ("Softplus", "softplus", &[]),
    ("Sqrt", "sqrt", &[]),
    ("Square", "square", &[]),
    ("Squeeze", "squeeze", &[]),
    ("Sub", "subtract", &["y"]),
    ("Sum", "reduce_sum", &["axis"]),
    ("Tanh", "tanh", &[]),
    ("Tile", "tile", &["multiples"]),
];

/// The operators that one such layer becomes; the last one has the layer's name.
///
/// # Errors
/// If the operation is not known, or an argument has no counterpart.
pub fn upgrade(layer: &Value, references: &References) -> Result<Vec<Value>, FormatError> {
    let node = match layer.pointer("/config/node_def") {
        Some(Value::String(text)) => {
            crate::formats::keras::json::parse("node_def", text.as_bytes())?
        }
        Some(node) => node.clone(),
        None => return Err(unsupported(layer, "it has no node_def")),
    };
    let operation = node.get("op").and_then(Value::as_str).unwrap_or("?");
    let refuse = |what: &str| unsupported(layer, format!("{what} of TensorFlow's '{operation}'"));
    let mut operands = Vec::new();
    for call in layer.get("inbound_nodes").and_then(Value::as_array).into_iter().flatten() {
        let (given, _) = calls::call(layer, call, references)?;
        let mut given = match given {
            Value::Array(given) => given,
            one => vec![one],
        };
        for (at, constant) in constants(layer) {
            if at > given.len() {
                return Err(refuse("the order of the constants"));
            }
            given.insert(at, constant);
        }
        operands.push(given);
    }
    let attributes = node.get("attr").and_then(Value::as_object).cloned().unwrap_or_default();
    let (function, made) = match operation {
        "StridedSlice" => {
            ("getitem", operands.into_iter().map(|o| sliced(o, &attributes)).collect())
        }
        "ConcatV2" | "Pack" => (
            if operation == "Pack" { "stack" } else { "concat" },
            operands.into_iter().map(|o| joined(o, &attributes)).collect(),
        ),
        _ => {
            let found = OPERATIONS.iter().find(|(name, ..)| *name == operation);
            let Some((_, function, names)) = found else {
                return Err(refuse("an operation without a counterpart here"));
            };
            let named = |operands| named(operands, names, &attributes);
            (*function, operands.into_iter().map(named).collect::<Option<Vec<_>>>())
        }
    };
    let calls = made.ok_or_else(|| refuse("the arguments"))?;
    Calls { layer, function, calls, steps: Vec::new() }.build()
}

/// Constant operands by position.
fn constants(layer: &Value) -> BTreeMap<usize, Value> {
    let constants = layer.pointer("/config/constants").and_then(Value::as_object);
    let entries = constants.into_iter().flatten();
    entries.filter_map(|(at, value)| Some((at.parse().ok()?, value.clone()))).collect()
}

/// An operation's operands by the names that its function gives them, and its attributes.
fn named(
    operands: Vec<Value>,
    names: &[&str],
    attributes: &Map<String, Value>,
) -> Option<(Value, Map<String, Value>)> {
    let mut operands = operands.into_iter();
    let first = operands.next()?;
    let mut kwargs: Map<String, Value> =
        names.iter().map(|name| (*name).to_owned()).zip(operands.by_ref()).collect();
    if operands.next().is_some() {
        return None;
    }
    for (name, value) in attributes {
        let flag = || value.get("b").cloned().unwrap_or(json!(false));
        match name.as_str() {
            "keep_dims" => kwargs.insert("keepdims".to_owned(), flag()),
            "transpose_a" | "adj_x" => kwargs.insert("transpose_a".to_owned(), flag()),
            "transpose_b" | "adj_y" => kwargs.insert("transpose_b".to_owned(), flag()),
            "DstT" => {
                kwargs.insert("dtype".to_owned(), json!(dtype(value.get("type")?.as_str()?)?))
            }
            "squeeze_dims" => kwargs.insert("axis".to_owned(), json!(numbers(value))),
            "batch_dims" => kwargs.insert("batch_dims".to_owned(), json!(number(value.get("i"))?)),
            "data_format" if value.get("s")? != &json!("TkhXQw==") => return None,
            _ => None,
        };
    }
    Some((first, kwargs))
}

/// A list of integers of an attribute, which protobuf's JSON writes as texts.
fn numbers(value: &Value) -> Vec<i64> {
    let list = value.pointer("/list/i").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|item| number(Some(item))).collect()
}

/// An integer of an attribute; protobuf's JSON leaves out a zero.
fn number(value: Option<&Value>) -> Option<i64> {
    match value {
        None => Some(0),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64(),
    }
}

fn dtype(name: &str) -> Option<&'static str> {
    Some(match name {
        "DT_FLOAT" => "float32",
        "DT_INT32" => "int32",
        "DT_INT64" => "int64",
        "DT_BOOL" => "bool",
        _ => return None,
    })
}

/// Tensors to join, whose axis is the last operand or an attribute.
fn joined(
    mut operands: Vec<Value>,
    attributes: &Map<String, Value>,
) -> Option<(Value, Map<String, Value>)> {
    let axis = match attributes.get("axis") {
        Some(axis) => json!(number(axis.get("i"))?),
        None => operands.pop().filter(Value::is_i64)?,
    };
    Some((Value::Array(operands), Map::from_iter([("axis".to_owned(), axis)])))
}

/// Begin, end and strides with their masks, as an index.
fn sliced(
    operands: Vec<Value>,
    attributes: &Map<String, Value>,
) -> Option<(Value, Map<String, Value>)> {
    let [x, begin, end, strides] = <[Value; 4]>::try_from(operands).ok()?;
    let mask = |name: &str| number(attributes.get(name).and_then(|value| value.get("i")));
    let (begins, ends) = (mask("begin_mask")?, mask("end_mask")?);
    let (ellipsis, new, shrink) =
        (mask("ellipsis_mask")?, mask("new_axis_mask")?, mask("shrink_axis_mask")?);
    let (begin, end, strides) = (begin.as_array()?, end.as_array()?, strides.as_array()?);
    let mut spec = Vec::new();
    for (at, ((begin, end), stride)) in begin.iter().zip(end).zip(strides).enumerate() {
        let set = |mask: i64| at < 63 && mask >> at & 1 == 1;
        spec.push(if set(ellipsis) {
            json!({"class_name": "__ellipsis__"})
        } else if set(new) {
            Value::Null
        } else if set(shrink) {
            begin.clone()
        } else {
            let start = if set(begins) { Value::Null } else { begin.clone() };
            let stop = if set(ends) { Value::Null } else { end.clone() };
            json!({"start": start, "stop": stop, "step": stride})
        });
    }
    Some((x, Map::from_iter([("slice_spec".to_owned(), Value::Array(spec))])))
}
