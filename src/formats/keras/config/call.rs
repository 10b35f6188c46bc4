//! How layers are called: references to tensors, constants, and structures of both.

use serde_json::{Map, Value};

use super::malformed;
use crate::formats::FormatError;
use crate::formats::keras::json;
use crate::graph::{Data, Tensor};

/// One output of one call of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorRef {
    /// The layer's name.
    pub layer: String,
    /// Which of the layer's calls in this model, from 0.
    pub node: usize,
    /// Which of the call's outputs, from 0.
    pub tensor: usize,
}

/// References in the form in which a model takes its inputs or gives its outputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Structure {
    /// One tensor.
    Leaf(TensorRef),
    /// A list.
    List(Vec<Structure>),
    /// Entries by name.
    Dict(Vec<(String, Structure)>),
}

/// One call of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct CallNode {
    /// Positional arguments.
    pub args: Vec<CallArg>,
    /// Arguments by name.
    pub kwargs: Vec<(String, CallArg)>,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallArg {
    /// A tensor of the model.
    Tensor(TensorRef),
    /// A list or tuple.
    List(Vec<CallArg>),
    /// Entries by name.
    Dict(Vec<(String, CallArg)>),
    /// A slice, each bound a number, a tensor or `null`.
    Slice {
        /// The first index.
        start: Box<CallArg>,
        /// The index after the last one.
        stop: Box<CallArg>,
        /// The distance between two.
        step: Box<CallArg>,
    },
    /// `...` in an index.
    Ellipsis,
    /// A constant array.
    Array(Tensor),
    /// A number, a text, a truth value or null.
    Const(Value),
}

impl TensorRef {
    fn parse(value: &Value) -> Option<TensorRef> {
        let [layer, node, tensor] = value.as_array()?.as_slice() else { return None };
        let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
        Some(TensorRef {
            layer: layer.as_str()?.to_owned(),
            node: index(node)?,
            tensor: index(tensor)?,
        })
    }
}

impl Structure {
    pub(super) fn parse(value: &Value, place: &str) -> Result<Structure, FormatError> {
        if let Some(tensor) = TensorRef::parse(value) {
            return Ok(Structure::Leaf(tensor));
        }
        match value {
            Value::Array(items) => items
                .iter()
                .map(|item| Structure::parse(item, place))
                .collect::<Result<_, _>>()
                .map(Structure::List),
            Value::Object(entries) => entries
                .iter()
                .map(|(key, item)| Ok((key.clone(), Structure::parse(item, place)?)))
                .collect::<Result<_, _>>()
                .map(Structure::Dict),
            other => {
                Err(malformed(place, "[layer, node, tensor], lists or objects of such", other))
            }
        }
    }

    /// The tensors in Keras's order: lists as they stand, dictionaries by sorted key.
    pub fn flatten(&self) -> Vec<&TensorRef> {
        let mut tensors = Vec::new();
        self.visit(&mut |tensor| tensors.push(tensor));
        tensors
    }

    fn visit<'a>(&'a self, f: &mut impl FnMut(&'a TensorRef)) {
        match self {
            Structure::Leaf(tensor) => f(tensor),
            Structure::List(items) => items.iter().for_each(|item| item.visit(f)),
            Structure::Dict(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().for_each(|(_, item)| item.visit(f));
            }
        }
    }

    pub(super) fn for_each_mut(
        &mut self,
        f: &mut impl FnMut(&mut TensorRef) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        match self {
            Structure::Leaf(tensor) => f(tensor),
            Structure::List(items) => items.iter_mut().try_for_each(|item| item.for_each_mut(f)),
            Structure::Dict(entries) => {
                entries.iter_mut().try_for_each(|(_, item)| item.for_each_mut(f))
            }
        }
    }
}

impl CallNode {
    /// Reads a call: `args` and `kwargs`.
    ///
    /// # Errors
    /// If it is of another form.
    pub fn parse(value: &Value, place: &str) -> Result<CallNode, FormatError> {
        let Some(node) = value.as_object() else {
            let expected = "an object with args and kwargs (a list is the form of Keras 2: load the \
                            model in Keras 3 and save it again)";
            return Err(malformed(place, expected, value));
        };
        if let Some(key) = node.keys().find(|key| !["args", "kwargs"].contains(&key.as_str())) {
            return Err(malformed(place, "args and kwargs alone", &Value::String(key.clone())));
        }
        let args = match node.get("args") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(args)) => {
                args.iter().map(|arg| CallArg::parse(arg, place)).collect::<Result<_, _>>()?
            }
            Some(other) => return Err(malformed(&format!("{place}: args"), "a list", other)),
        };
        let kwargs = match node.get("kwargs") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(kwargs)) => entries(kwargs, place)?,
            Some(other) => return Err(malformed(&format!("{place}: kwargs"), "an object", other)),
        };
        Ok(CallNode { args, kwargs })
    }

    /// The tensors that the call takes: positional arguments first, then named ones by sorted name.
    pub fn tensors(&self) -> Vec<&TensorRef> {
        let mut tensors = Vec::new();
        let mut named: Vec<_> = self.kwargs.iter().collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let arguments = self.args.iter().chain(named.into_iter().map(|(_, arg)| arg));
        arguments.for_each(|arg| arg.visit(&mut |tensor| tensors.push(tensor)));
        tensors
    }
}

fn entries(map: &Map<String, Value>, place: &str) -> Result<Vec<(String, CallArg)>, FormatError> {
    map.iter().map(|(key, value)| Ok((key.clone(), CallArg::parse(value, place)?))).collect()
}

impl CallArg {
    /// Reads an argument.
    ///
    /// # Errors
    /// If it holds an object that is no argument.
    pub fn parse(value: &Value, place: &str) -> Result<CallArg, FormatError> {
        match value {
            Value::Array(items) => items
                .iter()
                .map(|item| CallArg::parse(item, place))
                .collect::<Result<_, _>>()
                .map(CallArg::List),
            Value::Object(map) => match (json::text(map, "class_name"), map.get("config")) {
                (Some(class), Some(config)) => CallArg::object(class, config, place),
                _ => entries(map, place).map(CallArg::Dict),
            },
            scalar => Ok(CallArg::Const(scalar.clone())),
        }
    }

    fn object(class: &str, config: &Value, place: &str) -> Result<CallArg, FormatError> {
        let part = |key: &str| config.get(key).unwrap_or(&Value::Null);
        match class {
            "__keras_tensor__" => {
                TensorRef::parse(part("keras_history")).map(CallArg::Tensor).ok_or_else(|| {
                    malformed(place, "a keras_history of [layer, node, tensor]", config)
                })
            }
            "__tensor__" | "__numpy__" => array(config, place).map(CallArg::Array),
            "__slice__" => {
                let bound = |key| CallArg::parse(part(key), place).map(Box::new);
                Ok(CallArg::Slice {
                    start: bound("start")?,
                    stop: bound("stop")?,
                    step: bound("step")?,
                })
            }
            "__ellipsis__" => Ok(CallArg::Ellipsis),
            other => Err(FormatError::Unsupported {
                what: format!("{place}: an argument of class {}", json::shorten(other)),
                hint: "pass tensors, numbers and texts only, and save the model again".to_owned(),
            }),
        }
    }

    fn visit<'a>(&'a self, f: &mut impl FnMut(&'a TensorRef)) {
        match self {
            CallArg::Tensor(tensor) => f(tensor),
            CallArg::List(items) => items.iter().for_each(|item| item.visit(f)),
            CallArg::Dict(entries) => entries.iter().for_each(|(_, item)| item.visit(f)),
            CallArg::Slice { start, stop, step } => {
                [start, stop, step].into_iter().for_each(|bound| bound.visit(f));
            }
            CallArg::Ellipsis | CallArg::Array(_) | CallArg::Const(_) => {}
        }
    }
}

/// A constant of nested lists: `{"value": [[1.0, 2.0]], "dtype": "float32"}`.
fn array(config: &Value, place: &str) -> Result<Tensor, FormatError> {
    let value = config.get("value").unwrap_or(&Value::Null);
    let (mut shape, mut inner) = (Vec::new(), value);
    while let Value::Array(items) = inner {
        shape.push(items.len());
        match items.first() {
            Some(first) => inner = first,
            None => break,
        }
    }
    let mut flat = Vec::new();
    let ragged = || malformed(place, "a constant with rows of one length", value);
    flatten(value, &shape, &mut flat).ok_or_else(ragged)?;
    let dtype = config.get("dtype").and_then(Value::as_str).unwrap_or("float32");
    let wrong = || malformed(place, &format!("constants of type {dtype}"), value);
    let integers = || flat.iter().map(|v| v.as_i64()).collect::<Option<Vec<i64>>>();
    let data = match dtype {
        "float16" | "bfloat16" | "float32" | "float64" => flat
            .iter()
            .map(|v| json::number(v).map(|x| x as f32))
            .collect::<Option<Vec<_>>>()
            .map(Data::F32),
        "int8" | "int16" | "int32" | "uint8" | "uint16" => integers()
            .and_then(|all| {
                all.into_iter().map(|i| i32::try_from(i).ok()).collect::<Option<Vec<_>>>()
            })
            .map(Data::I32),
        "int64" | "uint32" | "uint64" => integers().map(Data::I64),
        "bool" => flat.iter().map(|v| v.as_bool()).collect::<Option<Vec<_>>>().map(Data::Bool),
        "string" => flat
            .iter()
            .map(|v| v.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(Data::Str),
        _ => return Err(malformed(place, "a constant of a known dtype", &Value::from(dtype))),
    };
    Tensor::new(shape, data.ok_or_else(wrong)?).map_err(|_| ragged())
}

fn flatten<'a>(value: &'a Value, shape: &[usize], out: &mut Vec<&'a Value>) -> Option<()> {
    match (value, shape) {
        (Value::Array(items), [size, rest @ ..]) if items.len() == *size => {
            items.iter().try_for_each(|item| flatten(item, rest, out))
        }
        (Value::Array(_), _) | (_, [_, ..]) => None,
        (scalar, []) => {
            out.push(scalar);
            Some(())
        }
    }
}
