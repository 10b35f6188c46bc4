//! A model's configuration as Keras 3 takes it: what descriptions leave out is filled in.

use serde_json::{Map, Value, json};

use crate::formats::FormatError;
use crate::formats::keras::layers::KERAS2;
use crate::formats::keras::{Document, json};
use crate::graph::{DType, Dim, Graph, TensorType};

/// The version of Keras whose form is written where a model's file names none.
pub const KERAS_VERSION: &str = "3.15.1";

/// Where a layer's config holds further layers.
pub const CHILDREN: [&str; 5] = ["layers", "layer", "backward_layer", "cell", "cells"];

/// `hard_sigmoid` as it was before Keras 3, which Keras 3 has no name for.
const OLD_HARD_SIGMOID: &str = "hard_sigmoid_keras2";

/// The model as Keras loads it.
///
/// # Errors
/// If Keras 3 has no words for a part of it.
pub fn complete(
    graph: &Graph,
    mut config: Value,
    format: &'static str,
) -> Result<Value, FormatError> {
    if let Some(layer) = old_activation(&config, "the model") {
        return Err(FormatError::Unwritable {
            what: format!("layer '{layer}': hard_sigmoid as Keras 2 computed it"),
            format,
            hint:
                "Keras 3 computes another function under that name; write .safetensors or .json, \
                   which keep it"
                    .to_owned(),
        });
    }
    if let Some(layer) = unit_of_keras2(&config) {
        return Err(FormatError::Unwritable {
            what: format!("layer '{layer}': UnitNormalization as Keras 2 bounds it"),
            format,
            hint: "Keras 3 scales rows of almost zero otherwise; write .safetensors or .json"
                .to_owned(),
        });
    }
    let taken = take_keras2(&mut config, "the model");
    if let Some(layer) = taken.filter(|_| makes_masks(&config)) {
        return Err(FormatError::Unwritable {
            what: format!("layer '{layer}': masks as Keras 2 treats them"),
            format,
            hint: "Keras 3 would give other results; write .safetensors or .json, which keep it"
                .to_owned(),
        });
    }
    object(&mut config);
    if config.get("class_name").and_then(Value::as_str) == Some("Sequential") {
        give_input(graph, &mut config);
    }
    Ok(config)
}

/// The version of Keras that a written file names: the one whose form the configuration has.
pub fn version(document: &Document) -> &str {
    let known = document.keras_version.as_deref().filter(|version| version.starts_with("3."));
    known.unwrap_or(KERAS_VERSION)
}

/// The compile settings as Keras takes them.
pub fn complete_compile(compile: &Map<String, Value>) -> Map<String, Value> {
    let mut compile = compile.clone();
    for (key, module) in [
        ("optimizer", "keras.optimizers"),
        ("loss", "keras.losses"),
        ("metrics", "keras.metrics"),
        ("weighted_metrics", "keras.metrics"),
    ] {
        if let Some(value) = compile.get_mut(key) {
            name_module(value, module);
        }
    }
    compile
}

/// JSON as Python reads it, non-finite numbers included.
pub fn text(value: &Value) -> String {
    json::to_python(value)
}

/// Gives every object of a class in `value` its module.
fn name_module(value: &mut Value, module: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| name_module(item, module)),
        Value::Object(entries) if entries.contains_key("class_name") => {
            add_module(entries, module);
            let config = entries.entry("config").or_insert_with(|| json!({}));
            if let Some(rate) = config.get_mut("learning_rate") {
                name_module(rate, "keras.optimizers.schedules");
            }
            if let Some(inner) = config.get_mut("inner_optimizer") {
                name_module(inner, module);
            }
        }
        Value::Object(entries) => {
            entries.values_mut().for_each(|item| name_module(item, module));
        }
        _ => {}
    }
}

fn add_module(entries: &mut Map<String, Value>, module: &str) {
    if !entries.contains_key("module") {
        entries.insert("module".to_owned(), module.into());
        entries.entry("registered_name").or_insert(Value::Null);
    }
}

/// The first layer that has an activation which only Keras 2 had.
fn old_activation(value: &Value, layer: &str) -> Option<String> {
    match value {
        Value::String(text) if text == OLD_HARD_SIGMOID => Some(layer.to_owned()),
        Value::Array(items) => items.iter().find_map(|item| old_activation(item, layer)),
        Value::Object(entries) => {
            let name = value.pointer("/config/name").and_then(Value::as_str).unwrap_or(layer);
            entries.values().find_map(|item| old_activation(item, name))
        }
        _ => None,
    }
}

/// Takes out the mark of what Keras 2 does otherwise with masks; gives the first layer that has it.
fn take_keras2(value: &mut Value, layer: &str) -> Option<String> {
    match value {
        Value::Array(items) => items.iter_mut().fold(None, |first, item| {
            let taken = take_keras2(item, layer);
            first.or(taken)
        }),
        Value::Object(entries) => {
            let name = entries.get("config").and_then(|config| config.get("name"));
            let name = name.and_then(Value::as_str).unwrap_or(layer).to_owned();
            let own = entries.shift_remove(KERAS2).map(|_| name.clone());
            entries.values_mut().fold(own, |first, item| {
                let taken = take_keras2(item, &name);
                first.or(taken)
            })
        }
        _ => None,
    }
}

/// The first layer whose largest factor is that of Keras 2.
fn unit_of_keras2(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().find_map(unit_of_keras2),
        Value::Object(entries) => {
            let config = entries.get("config");
            let own = entries.get("class_name").is_some_and(|class| class == "UnitNormalization")
                && config.and_then(|config| config.get(KERAS2)).is_some();
            let name = config.and_then(|config| config.get("name")).and_then(Value::as_str);
            match own {
                true => Some(name.unwrap_or("?").to_owned()),
                false => entries.values().find_map(unit_of_keras2),
            }
        }
        _ => None,
    }
}

/// Whether a layer of the model gives its output a mask.
fn makes_masks(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(makes_masks),
        Value::Object(entries) => {
            entries.get("mask_zero") == Some(&Value::Bool(true))
                || entries.get("class_name").is_some_and(|class| class == "Masking")
                || entries.values().any(makes_masks)
        }
        _ => false,
    }
}

/// Completes a layer, an operator or a model, and what lies within it.
fn object(layer: &mut Value) {
    let Some(entries) = layer.as_object_mut() else { return };
    let Some(class) = entries.get("class_name").and_then(Value::as_str).map(str::to_owned) else {
        return;
    };
    let module = match class.as_str() {
        "Functional" => "keras.src.models.functional",
        "Sequential" | "Model" => "keras",
        _ => "keras.layers",
    };
    let described = !entries.contains_key("module");
    add_module(entries, module);
    let config = entries.entry("config").or_insert_with(|| json!({}));
    let Some(config) = config.as_object_mut() else { return };
    let functional = config.contains_key("input_layers");
    if class == "TextVectorization" && described {
        // Keras reads these without a default.
        config.entry("standardize").or_insert_with(|| "lower_and_strip_punctuation".into());
        config.entry("split").or_insert_with(|| "whitespace".into());
        config.entry("ngrams").or_insert(Value::Null);
    }
    for key in CHILDREN {
        match config.get_mut(key) {
            Some(Value::Array(children)) => children.iter_mut().for_each(|child| {
                object(child);
                if functional && key == "layers" {
                    called(child);
                }
            }),
            Some(child) => object(child),
            None => {}
        }
    }
}

/// Completes what a Functional model says of a layer: its name, and its calls.
fn called(layer: &mut Value) {
    let name = layer.pointer("/config/name").cloned();
    let Some(entries) = layer.as_object_mut() else { return };
    if let Some(name) = name {
        entries.entry("name").or_insert(name);
    }
    let nodes = entries.entry("inbound_nodes").or_insert_with(|| json!([]));
    for node in nodes.as_array_mut().into_iter().flatten() {
        if let Some(node) = node.as_object_mut() {
            node.entry("args").or_insert_with(|| json!([]));
            node.entry("kwargs").or_insert_with(|| json!({}));
            node.values_mut().for_each(tensors);
        }
    }
}

/// Gives the tensors in a call's arguments a shape and a type: Keras wants to see some, and takes
/// those of the layer that gives the tensor.
fn tensors(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tensors),
        Value::Object(entries) => {
            let tensor =
                entries.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__");
            if let (true, Some(config)) = (tensor, entries.get_mut("config")) {
                if let Some(config) = config.as_object_mut() {
                    config.entry("shape").or_insert_with(|| json!([null]));
                    config.entry("dtype").or_insert_with(|| "float32".into());
                }
                return;
            }
            entries.values_mut().for_each(tensors);
        }
        _ => {}
    }
}

/// Puts an InputLayer before the layers of a Sequential that says nowhere what it takes. Keras
/// would otherwise build it at its first call, too late for its weights.
fn give_input(graph: &Graph, config: &mut Value) {
    let [input] = graph.inputs() else { return };
    let Some(config) = config.get_mut("config").and_then(Value::as_object_mut) else { return };
    let built = config.get("build_input_shape").is_some_and(|shape| !shape.is_null());
    let Some(layers) = config.get_mut("layers").and_then(Value::as_array_mut) else { return };
    let first = layers.first().and_then(|layer| layer.get("class_name")).and_then(Value::as_str);
    if built || first == Some("InputLayer") {
        return;
    }
    layers.insert(0, input_layer(&input.name, graph.ty(input.value)));
}

fn input_layer(name: &str, ty: &TensorType) -> Value {
    let sizes: Vec<Option<usize>> = ty.dims.iter().map(Dim::known).collect();
    json!({
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": sizes, "dtype": keras_name(ty.dtype), "name": name},
        "registered_name": null,
    })
}

/// Keras's name of a type.
fn keras_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "float32",
        DType::F64 => "float64",
        DType::F16 => "float16",
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::U8 => "uint8",
        DType::U16 => "uint16",
        DType::U32 => "uint32",
        DType::U64 => "uint64",
        DType::I32 => "int32",
        DType::I64 => "int64",
        DType::Bool => "bool",
        DType::Str => "string",
    }
}
