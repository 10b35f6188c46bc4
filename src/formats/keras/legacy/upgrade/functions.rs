//! `TFOpLambda` and `SlicingOpLambda`: TensorFlow's functions, as operators of `keras.ops`.

use serde_json::{Map, Value, json};

use super::reference::References;
use super::{calls, name_of, unsupported};
use crate::formats::FormatError;
use crate::formats::keras::json as text_of;

/// Functions of one tensor that `keras.ops` has too, and their classes.
const UNARY: [(&str, &str); 41] = [
    ("abs", "Absolute"),
    ("ceil", "Ceil"),
    ("cos", "Cos"),
    ("cosh", "Cosh"),
    ("elu", "Elu"),
    ("erf", "Erf"),
    ("exp", "Exp"),
    ("expm1", "Expm1"),
    ("floor", "Floor"),
    ("is_finite", "Isfinite"),
    ("is_inf", "Isinf"),
    ("is_nan", "Isnan"),
    ("log", "Log"),
    ("log1p", "Log1p"),
    ("log_sigmoid", "LogSigmoid"),
    ("logical_not", "LogicalNot"),
    ("invert", "LogicalNot"),
    ("neg", "Negative"),
    ("negative", "Negative"),
    ("ones_like", "OnesLike"),
    ("ones_like_v2", "OnesLike"),
    ("reciprocal", "Reciprocal"),
    ("relu", "Relu"),
    ("relu6", "Relu6"),
    ("round", "Round"),
    ("rsqrt", "Rsqrt"),
    ("selu", "Selu"),
    ("sigmoid", "Sigmoid"),
    ("sign", "Sign"),
    ("silu", "Silu"),
    ("sin", "Sin"),
    ("sinh", "Sinh"),
    ("softplus", "Softplus"),
    ("softsign", "Softsign"),
    ("sqrt", "Sqrt"),
    ("square", "Square"),
    ("swish", "Silu"),
    ("tan", "Tan"),
    ("tanh", "Tanh"),
    ("zeros_like", "ZerosLike"),
    ("zeros_like_v2", "ZerosLike"),
];

/// Functions of two tensors: the name of the second one, and the class.
const BINARY: [(&str, &str, &str); 28] = [
    ("add", "y", "Add"),
    ("add_v2", "y", "Add"),
    ("bias_add", "bias", "Add"),
    ("div", "y", "Divide"),
    ("divide", "y", "Divide"),
    ("eq", "y", "Equal"),
    ("equal", "y", "Equal"),
    ("floor_div", "y", "FloorDivide"),
    ("floordiv", "y", "FloorDivide"),
    ("floormod", "y", "Mod"),
    ("greater", "y", "Greater"),
    ("greater_equal", "y", "GreaterEqual"),
    ("less", "y", "Less"),
    ("less_equal", "y", "LessEqual"),
    ("logical_and", "y", "LogicalAnd"),
    ("logical_or", "y", "LogicalOr"),
    ("logical_xor", "y", "LogicalXor"),
    ("maximum", "y", "Maximum"),
    ("minimum", "y", "Minimum"),
    ("mul", "y", "Multiply"),
    ("multiply", "y", "Multiply"),
    ("ne", "y", "NotEqual"),
    ("not_equal", "y", "NotEqual"),
    ("pow", "y", "Power"),
    ("sub", "y", "Subtract"),
    ("subtract", "y", "Subtract"),
    ("realdiv", "y", "Divide"),
    ("truediv", "y", "Divide"),
];

/// Functions that reduce axes.
const REDUCTIONS: [(&str, &str); 9] = [
    ("reduce_all", "All"),
    ("reduce_any", "Any"),
    ("reduce_max", "Max"),
    ("reduce_mean", "Mean"),
    ("reduce_min", "Min"),
    ("reduce_prod", "Prod"),
    ("reduce_std", "Std"),
    ("reduce_sum", "Sum"),
    ("reduce_variance", "Var"),
];

/// The operators that one such layer becomes; the last one has the layer's name.
///
/// # Errors
/// If there are none, or an argument has no counterpart.
pub fn upgrade(layer: &Value, references: &References) -> Result<Vec<Value>, FormatError> {
    let function = layer.pointer("/config/function").and_then(Value::as_str).unwrap_or("?");
    let nodes = layer.get("inbound_nodes").and_then(Value::as_array);
    let nodes = nodes.map_or(&[][..], Vec::as_slice);
    // A slice is marked in its own way, so a call's other lists must not be read as tensors first.
    let calls = nodes.iter().map(|node| calls::call(layer, node, references));
    Calls { layer, function, calls: calls.collect::<Result<_, _>>()?, steps: Vec::new() }.build()
}

/// All calls of one function: the first argument and the others by name.
pub struct Calls<'a> {
    /// The layer that stands for the function.
    pub layer: &'a Value,
    /// The function, such as `math.reduce_mean`.
    pub function: &'a str,
    /// The calls.
    pub calls: Vec<(Value, Map<String, Value>)>,
    /// The operators so far.
    pub steps: Vec<Value>,
}

/// The arguments that each call gives to an operator.
type Column = Vec<Value>;

impl Calls<'_> {
    /// The operators.
    ///
    /// # Errors
    /// As [`upgrade`].
    pub fn build(mut self) -> Result<Vec<Value>, FormatError> {
        let short = self.function.rsplit('.').next().unwrap_or("").to_owned();
        let first: Column = self.calls.iter().map(|(first, _)| first.clone()).collect();
        let find = |table: &[(&str, &'static str)]| {
            table.iter().find(|(name, _)| *name == short).map(|(_, class)| *class)
        };
        if let Some(class) = find(&UNARY) {
            self.step(class, json!({}), &[first]);
        } else if let Some((_, second, class)) = BINARY.iter().find(|(name, ..)| *name == short) {
            let second = self.column(second)?;
            self.step(class, json!({}), &[constants(first), constants(second)]);
        } else if let Some(class) = find(&REDUCTIONS) {
            let axis = self.option("axis")?.or(self.option("reduction_indices")?);
            let keep = self.option("keepdims")?.or(self.option("keep_dims")?);
            let options = json!({"axis": axis, "keepdims": keep.unwrap_or(json!(false))});
            self.step(class, options, &[first]);
        } else {
            self.other(&short, first)?;
        }
        self.finish()
    }

    fn other(&mut self, short: &str, first: Column) -> Result<(), FormatError> {
        match short {
            "softmax" | "softmax_v2" | "log_softmax" | "log_softmax_v2" => {
                let axis = self.option("axis")?.or(self.option("dim")?).unwrap_or(json!(-1));
                let class = if short.starts_with("log") { "LogSoftmax" } else { "Softmax" };
                self.step(class, json!({"axis": axis}), &[first]);
            }
            "gelu" => {
                let approximate = self.option("approximate")?.unwrap_or(json!(false));
                self.step("Gelu", json!({"approximate": approximate}), &[first]);
            }
            "leaky_relu" => {
                let slope = self.option("alpha")?.unwrap_or(json!(0.2));
                self.step("LeakyRelu", json!({"negative_slope": slope}), &[first]);
            }
            "clip_by_value" => {
                let (low, high) = (self.option("clip_value_min")?, self.option("clip_value_max")?);
                self.step("Clip", json!({"x_min": low, "x_max": high}), &[first]);
            }
            "cast" => {
                let dtype = self.option("dtype")?;
                self.step("Cast", json!({"dtype": dtype}), &[first]);
            }
            "where" | "where_v2" => {
                let (yes, no) = (self.column("x")?, self.column("y")?);
                self.step("Where", json!({}), &[first, constants(yes), constants(no)]);
            }
            "matmul" => self.matmul(first)?,
            "add_n" => {
                let sums = first.into_iter().map(|terms| match terms {
                    Value::Array(terms) => terms,
                    one => vec![one],
                });
                self.add_all(sums.collect())?;
            }
            "squared_difference" => {
                let other = constants(self.column("y")?);
                let distance = self.step("Subtract", json!({}), &[constants(first), other]);
                self.step("Square", json!({}), &[distance]);
            }
            "l2_normalize" => self.normalize(first)?,
            "identity" | "stop_gradient" | "ensure_shape" => {
                self.option("shape")?;
                let all = json!({"class_name": "__ellipsis__", "config": {}});
                let all = vec![all; self.calls.len()];
                self.step("GetItem", json!({}), &[first, all]);
            }
            _ => return self.arrangement(short, first),
        }
        Ok(())
    }

    /// Functions that move elements or choose among them.
    fn arrangement(&mut self, short: &str, first: Column) -> Result<(), FormatError> {
        match short {
            "reshape" => {
                let shape = self.option("shape")?.unwrap_or(Value::Null);
                if !integers(&shape) {
                    return Err(self.refuse("a shape that is computed"));
                }
                self.step("Reshape", json!({"newshape": shape}), &[first]);
            }
            "transpose" | "transpose_v2" => {
                let order = self.option("perm")?;
                self.option("conjugate")?;
                self.step("Transpose", json!({"axes": order}), &[first]);
            }
            "expand_dims" | "expand_dims_v2" => {
                let axis = self.option("axis")?.or(self.option("dim")?);
                self.step("ExpandDims", json!({"axis": axis}), &[first]);
            }
            "squeeze" | "squeeze_v2" => {
                let axis = self.option("axis")?.or(self.option("squeeze_dims")?);
                let axis = axis.filter(|axis| axis != &json!([]));
                self.step("Squeeze", json!({"axis": axis}), &[first]);
            }
            "concat" | "stack" => {
                let class = if short == "concat" { "Concatenate" } else { "Stack" };
                let axis = self.option("axis")?.unwrap_or(json!(0));
                let parts = first.into_iter().map(|parts| match parts {
                    Value::Array(parts) => Value::Array(constants(parts)),
                    one => Value::Array(vec![one]),
                });
                self.step(class, json!({"axis": axis}), &[parts.collect()]);
            }
            "split" => self.split(first)?,
            "tile" => {
                let repeats = self.option("multiples")?;
                self.step("Tile", json!({"repeats": repeats}), &[first]);
            }
            "repeat" => {
                let (repeats, axis) = (self.option("repeats")?, self.option("axis")?);
                self.step("Repeat", json!({"repeats": repeats, "axis": axis}), &[first]);
            }
            "reverse" | "reverse_v2" => {
                let axis = self.option("axis")?;
                self.step("Flip", json!({"axis": axis}), &[first]);
            }
            "cumsum" => {
                self.only("exclusive", json!(false))?;
                self.only("reverse", json!(false))?;
                let axis = self.option("axis")?.unwrap_or(json!(0));
                self.step("Cumsum", json!({"axis": axis, "dtype": null}), &[first]);
            }
            "argmax" | "argmin" => {
                let class = if short == "argmax" { "Argmax" } else { "Argmin" };
                let axis = self.option("axis")?.or(self.option("dimension")?).unwrap_or(json!(0));
                let dtype = self.option("output_type")?.unwrap_or(json!("int64"));
                let options = json!({"axis": axis, "keepdims": false});
                let found = self.step(class, options, &[first]);
                if dtype != json!("int32") {
                    self.step("Cast", json!({"dtype": dtype}), &[found]);
                }
            }
            "one_hot" => {
                self.only("on_value", Value::Null)?;
                self.only("off_value", Value::Null)?;
                let depth = self.option("depth")?;
                let axis = self.option("axis")?.unwrap_or(json!(-1));
                let dtype = self.option("dtype")?.unwrap_or(json!("float32"));
                let options = json!({"num_classes": depth, "axis": axis, "dtype": dtype});
                self.step("OneHot", options, &[first]);
            }
            "gather" | "gather_v2" => {
                self.only("batch_dims", json!(0))?;
                self.option("validate_indices")?;
                let axis = self.option("axis")?.unwrap_or(json!(0));
                let indices = constants(self.column("indices")?);
                self.step("Take", json!({"axis": axis}), &[constants(first), indices]);
            }
            "getitem" => {
                let keys = self.column("slice_spec")?.iter().map(slice).collect();
                self.step("GetItem", json!({}), &[first, keys]);
            }
            "shape" | "shape_v2" | "size" | "rank" => {
                return Err(self.refuse("a shape as a value"));
            }
            _ => return Err(self.refuse("a function without a counterpart here")),
        }
        Ok(())
    }

    fn matmul(&mut self, first: Column) -> Result<(), FormatError> {
        for option in ["adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse"] {
            self.only(option, json!(false))?;
        }
        self.only("output_type", Value::Null)?;
        let mut sides = [constants(first), constants(self.column("b")?)];
        for (side, option) in ["transpose_a", "transpose_b"].into_iter().enumerate() {
            if self.option(option)? == Some(json!(true)) {
                let axes = json!({"axis1": -1, "axis2": -2});
                let given = [sides[side].clone()];
                sides[side] = self.step("Swapaxes", axes, &given);
            }
        }
        self.step("Matmul", json!({}), &sides);
        Ok(())
    }

    /// Adds any number of terms, the same number in each call.
    fn add_all(&mut self, sums: Vec<Vec<Value>>) -> Result<(), FormatError> {
        let count = sums.first().map_or(0, Vec::len);
        if count < 2 || sums.iter().any(|terms| terms.len() != count) {
            return Err(self.refuse("a sum of fewer than two tensors"));
        }
        let term = |at: usize| -> Column {
            sums.iter().filter_map(|terms| terms.get(at).cloned()).collect()
        };
        let mut sum = term(0);
        for at in 1..count {
            sum = self.step("Add", json!({}), &[sum, term(at)]);
        }
        Ok(())
    }

    /// x / √max(Σ x², ε).
    fn normalize(&mut self, first: Column) -> Result<(), FormatError> {
        let axis = self.option("axis")?.or(self.option("dim")?);
        let epsilon = self.option("epsilon")?.unwrap_or(json!(1e-12));
        let squares = self.step("Square", json!({}), std::slice::from_ref(&first));
        let sums = self.step("Sum", json!({"axis": axis, "keepdims": true}), &[squares]);
        let epsilon = vec![epsilon; self.calls.len()];
        let bounded = self.step("Maximum", json!({}), &[sums, epsilon]);
        let inverse = self.step("Rsqrt", json!({}), &[bounded]);
        self.step("Multiply", json!({}), &[first, inverse]);
        Ok(())
    }

    /// Equal parts by their number, others by their sizes, which Keras 3 wants as positions.
    fn split(&mut self, first: Column) -> Result<(), FormatError> {
        self.only("num", Value::Null)?;
        let axis = self.option("axis")?.unwrap_or(json!(0));
        let parts = match self.option("num_or_size_splits")?.unwrap_or(Value::Null) {
            Value::Array(sizes) => {
                let sizes = sizes.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>();
                let Some(sizes) = sizes else {
                    return Err(self.refuse("parts whose sizes are not all given"));
                };
                let ends = sizes.iter().scan(0u64, |end, size| {
                    *end = end.saturating_add(*size);
                    Some(*end)
                });
                json!(ends.take(sizes.len().saturating_sub(1)).collect::<Vec<u64>>())
            }
            number => number,
        };
        self.step("Split", json!({"indices_or_sections": parts, "axis": axis}), &[first]);
        Ok(())
    }

    /// Adds an operator, and gives its first output in each call.
    fn step(&mut self, class: &str, mut options: Value, columns: &[Column]) -> Column {
        let name = format!("{}/{}", name_of(self.layer), self.steps.len());
        if let Some(options) = options.as_object_mut() {
            options.insert("name".to_owned(), json!(name));
        }
        let count = self.calls.len();
        let nodes: Vec<Value> = (0..count)
            .map(|call| {
                let args: Vec<&Value> =
                    columns.iter().filter_map(|column| column.get(call)).collect();
                json!({"args": args, "kwargs": {}})
            })
            .collect();
        self.steps.push(json!({
            "module": "keras.src.ops.numpy",
            "class_name": class,
            "name": name,
            "config": options,
            "inbound_nodes": nodes,
        }));
        let output = |node| {
            json!({"class_name": "__keras_tensor__",
                                   "config": {"keras_history": [name, node, 0]}})
        };
        (0..count).map(output).collect()
    }

    /// Gives the last operator the layer's name, and checks that every argument was heeded.
    fn finish(mut self) -> Result<Vec<Value>, FormatError> {
        let left = self.calls.iter().flat_map(|(_, kwargs)| kwargs);
        let mut left = left.filter(|(key, value)| *key != "name" && !value.is_null());
        if let Some((key, value)) = left.next() {
            return Err(self.refuse(format!("argument '{key}' = {}", text_of::show(value))));
        }
        let name = json!(name_of(self.layer));
        if let Some(last) = self.steps.last_mut() {
            last["name"] = name.clone();
            last["config"]["name"] = name;
        }
        Ok(self.steps)
    }

    /// Takes an option, which must be the same in all calls; null counts as absent.
    fn option(&mut self, key: &str) -> Result<Option<Value>, FormatError> {
        let mut found: Vec<Value> = self
            .calls
            .iter_mut()
            .map(|(_, kwargs)| kwargs.remove(key).unwrap_or(Value::Null))
            .collect();
        let last = found.pop().unwrap_or(Value::Null);
        if found.iter().any(|value| *value != last) {
            return Err(self.refuse(format!("calls that differ in argument '{key}'")));
        }
        if has_tensor(&last) {
            return Err(self.refuse(format!("argument '{key}' that is computed")));
        }
        Ok(Some(last).filter(|value| !value.is_null()))
    }

    /// Takes an option that must be null, absent or `value`.
    fn only(&mut self, key: &str, value: Value) -> Result<(), FormatError> {
        match self.option(key)? {
            Some(found) if found != value => {
                Err(self.refuse(format!("argument '{key}' = {}", text_of::show(&found))))
            }
            _ => Ok(()),
        }
    }

    /// Takes an argument that each call must give. Keras 2 did not store some of them.
    fn column(&mut self, key: &str) -> Result<Column, FormatError> {
        let found: Option<Column> =
            self.calls.iter_mut().map(|(_, kwargs)| kwargs.remove(key)).collect();
        found.ok_or_else(|| {
            self.refuse(format!("no argument '{key}', which Keras 2 did not store,"))
        })
    }

    fn refuse(&self, what: impl std::fmt::Display) -> FormatError {
        let function = text_of::shorten(self.function);
        unsupported(self.layer, format!("{what} of TensorFlow's function '{function}'"))
    }
}

/// Lists of numbers as constant arrays; tensors and single numbers stay.
fn constants(column: Column) -> Column {
    let constant = |value: Value| match &value {
        Value::Array(_) if !has_tensor(&value) => {
            let dtype = element_type(&value);
            json!({"class_name": "__tensor__", "config": {"value": value, "dtype": dtype}})
        }
        _ => value,
    };
    column.into_iter().map(constant).collect()
}

/// The type of a constant, whose own Keras 2 did not store: that of its first element.
fn element_type(value: &Value) -> &'static str {
    match value {
        Value::Array(items) => items.first().map_or("float32", element_type),
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int32",
        _ => "float32",
    }
}

fn has_tensor(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_tensor),
        Value::Object(map) => map.get("class_name") == Some(&json!("__keras_tensor__")),
        _ => false,
    }
}

fn integers(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(Value::is_i64),
        value => value.is_i64(),
    }
}

/// An index: slices are dictionaries in Keras 2, and a new axis is null.
fn slice(spec: &Value) -> Value {
    match spec {
        Value::Array(parts) => Value::Array(parts.iter().map(slice).collect()),
        Value::Object(map) if map.contains_key("stop") => {
            json!({"class_name": "__slice__", "config": map})
        }
        Value::Object(map) if map.get("class_name") == Some(&json!("__ellipsis__")) => {
            json!({"class_name": "__ellipsis__", "config": {}})
        }
        other => other.clone(),
    }
}
