//! Names for the layers of a description that gives them none.

use serde_json::Value;

use crate::formats::keras::naming::AutoNames;

/// Where a layer's config holds further layers.
const CHILDREN: [&str; 5] = ["layers", "cells", "layer", "backward_layer", "cell"];

/// Puts a name into the config of every layer that lacks one, inner layers before the layer that
/// holds them, as they would be constructed in Python.
pub fn fill(model: &mut Value) {
    let mut taken = Vec::new();
    collect(model, &mut taken);
    assign(model, &mut AutoNames::new(taken));
}

fn collect(layer: &Value, taken: &mut Vec<String>) {
    let given = layer.get("name").or_else(|| layer.pointer("/config/name"));
    taken.extend(given.and_then(Value::as_str).map(str::to_owned));
    for key in CHILDREN {
        match layer.get("config").and_then(|config| config.get(key)) {
            Some(Value::Array(children)) => children.iter().for_each(|child| collect(child, taken)),
            Some(child) => collect(child, taken),
            None => {}
        }
    }
}

fn assign(layer: &mut Value, names: &mut AutoNames) {
    let Some(entries) = layer.as_object_mut() else { return };
    let Some(class) = entries.get("class_name").and_then(Value::as_str).map(str::to_owned) else {
        return;
    };
    let outer = entries.get("name").cloned();
    let config = entries.entry("config").or_insert_with(|| Value::Object(Default::default()));
    let Some(config) = config.as_object_mut() else { return };
    for key in CHILDREN {
        match config.get_mut(key) {
            Some(Value::Array(children)) => {
                children.iter_mut().for_each(|child| assign(child, names));
            }
            Some(child) => assign(child, names),
            None => {}
        }
    }
    if !config.contains_key("name") {
        let name = outer.unwrap_or_else(|| names.name(&class).into());
        config.insert("name".to_owned(), name);
    }
}
