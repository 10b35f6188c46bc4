//! From the configurations that Keras 2 wrote to the form of Keras 3, which [`Description`] reads.
//!
//! What Keras 3 has under another name is renamed, what has no effect on results is left out, and
//! what Keras 2 computed otherwise is either spelled in a way that says so or refused by name.
//!
//! [`Description`]: crate::formats::keras::config::Description

mod calls;
mod functions;
mod op_layers;
mod options;
mod reference;

pub use options::of_keras2;
use serde_json::{Map, Value, json};

use crate::formats::FormatError;
use crate::formats::keras::json as text_of;
use crate::formats::keras::layers::knows;
use reference::References;

/// The version of Keras that wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 1, 2 or 3.
    pub major: u32,
    /// The number after the first point.
    pub minor: u32,
}

impl Version {
    /// Reads `2.15.0` or `2.2.4-tf`; a file that names none was written by Keras 1.
    ///
    /// # Errors
    /// If the text is no version of Keras that is known.
    pub fn parse(text: Option<&str>) -> Result<Version, FormatError> {
        let Some(text) = text else { return Ok(Version { major: 1, minor: 0 }) };
        let mut parts = text.split(['.', '-', '+']);
        let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
        match (number(), number()) {
            (Some(major @ 1..=3), minor) => Ok(Version { major, minor: minor.unwrap_or(0) }),
            _ => Err(FormatError::Version {
                found: text_of::shorten(text),
                hint: "versions 1 to 3 are read; load the model in Keras 3 and save it again"
                    .to_owned(),
            }),
        }
    }
}

/// A model's configuration in the form of Keras 3.
///
/// # Errors
/// If it is not of the form that Keras gives it, or holds what cannot be said in Keras 3's form.
pub fn upgrade(mut model: Value, version: Version) -> Result<Value, FormatError> {
    if version.major >= 3 {
        name_classes(&mut model);
        return Ok(model);
    }
    unwrap_values(&mut model);
    Upgrade { version }.model(&mut model)?;
    Ok(model)
}

/// Whether a description that names no version is of Keras 2: by its calls, or by the shape of its
/// input.
pub fn is_old(model: &Value) -> bool {
    let config = model.get("config");
    let layers = config.and_then(|config| config.get("layers")).or(config);
    let old = |layer: &Value| {
        let calls = layer.get("inbound_nodes").and_then(Value::as_array);
        calls.is_some_and(|calls| calls.first().is_some_and(Value::is_array))
            || layer.pointer("/config/batch_input_shape").is_some_and(Value::is_array)
    };
    layers.and_then(Value::as_array).is_some_and(|layers| layers.iter().any(old))
}

/// Whether a description that names no version has calls in the form of Keras 3.
pub fn is_new(model: &Value) -> bool {
    let layers = model.pointer("/config/layers").and_then(Value::as_array);
    let new = |layer: &Value| {
        let calls = layer.get("inbound_nodes").and_then(Value::as_array);
        calls.is_some_and(|calls| calls.first().is_some_and(Value::is_object))
    };
    layers.is_some_and(|layers| layers.iter().any(new))
}

/// Names the classes of Keras 3's `.h5`, which stand there without their module, as `.keras` files
/// name them, at every depth.
fn name_classes(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(name_classes),
        Value::Object(entry) => {
            if is_operator(entry) {
                entry.insert("module".to_owned(), json!("keras.src.ops.numpy"));
            } else if class_of(entry) == "GroupedQueryAttention" && !entry.contains_key("module") {
                // The one layer whose Python class has another name than its export.
                entry.insert("class_name".to_owned(), json!("GroupQueryAttention"));
            }
            entry.values_mut().for_each(name_classes);
        }
        _ => {}
    }
}

/// Whether an entry without a module is an operator of `keras.ops`. Unlike layers these have no
/// option `trainable`, which only InputLayer and SpatialDropout lack; a `dtype` of theirs is a name
/// and no policy.
fn is_operator(entry: &Map<String, Value>) -> bool {
    let config = entry.get("config").and_then(Value::as_object);
    let class = class_of(entry);
    entry.contains_key("inbound_nodes")
        && !entry.contains_key("module")
        && class != "InputLayer"
        && !class.contains('>')
        && config.is_some_and(|config| {
            !["trainable", "layers"].iter().any(|key| config.contains_key(*key))
                && config.get("dtype").is_none_or(|dtype| !dtype.is_object() && !knows(class))
        })
}

/// Replaces Python's tuples, shapes and arrays by plain lists and numbers.
fn unwrap_values(value: &mut Value) {
    let plain = match &mut *value {
        Value::Object(map) => {
            let class = map.get("class_name").and_then(Value::as_str);
            match (class, map.get("type").and_then(Value::as_str)) {
                (Some("__tuple__" | "TensorShape"), _) => map.remove("items"),
                (None, Some("ndarray")) if map.len() == 2 => map.remove("value"),
                _ => None,
            }
        }
        _ => None,
    };
    if let Some(plain) = plain {
        *value = plain;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(unwrap_values),
        Value::Object(map) => map.values_mut().for_each(unwrap_values),
        _ => {}
    }
}

/// What is known of the file while its models are walked.
struct Upgrade {
    version: Version,
}

impl Upgrade {
    /// A model: the outermost, or one that is a layer of another.
    fn model(&self, value: &mut Value) -> Result<(), FormatError> {
        let Some(entry) = value.as_object_mut() else { return Ok(()) };
        // Keras before 2.2.3 stored a Sequential as the bare list of its layers.
        if let Some(layers) = entry.get("config").filter(|config| config.is_array()).cloned() {
            let name = entry.get("name").cloned().unwrap_or_else(|| json!("sequential_1"));
            entry.insert("config".to_owned(), json!({"name": name, "layers": layers}));
        }
        let class = class_of(entry).to_owned();
        let Some(config) = entry.get_mut("config").and_then(Value::as_object_mut) else {
            return Ok(());
        };
        config.remove("batch_input_shape");
        match class.as_str() {
            "Sequential" => self.sequential(config),
            _ => self.functional(config),
        }
    }

    fn sequential(&self, config: &mut Map<String, Value>) -> Result<(), FormatError> {
        let Some(Value::Array(layers)) = config.get_mut("layers") else { return Ok(()) };
        let input = layers.first().and_then(implied_input);
        for layer in layers.iter_mut() {
            self.layer(layer)?;
        }
        if let Some(input) = input {
            layers.insert(0, input);
        }
        Ok(())
    }

    fn functional(&self, config: &mut Map<String, Value>) -> Result<(), FormatError> {
        let references = References::of(config);
        let Some(Value::Array(layers)) = config.get_mut("layers") else { return Ok(()) };
        let mut upgraded = Vec::with_capacity(layers.len());
        for mut layer in std::mem::take(layers) {
            match class_name(&layer) {
                "TFOpLambda" | "SlicingOpLambda" => {
                    upgraded.extend(functions::upgrade(&layer, &references)?);
                }
                "TensorFlowOpLayer" => upgraded.extend(op_layers::upgrade(&layer, &references)?),
                _ => {
                    upgraded.extend(calls::upgrade(&mut layer, &references)?);
                    self.layer(&mut layer)?;
                    upgraded.push(layer);
                }
            }
        }
        *layers = upgraded;
        for ends in ["input_layers", "output_layers"] {
            if let Some(ends) = config.get_mut(ends) {
                references.renumber_ends(ends);
            }
        }
        Ok(())
    }

    /// A layer whose calls have been upgraded, and the layers within it.
    fn layer(&self, value: &mut Value) -> Result<(), FormatError> {
        let Some(entry) = value.as_object_mut() else { return Ok(()) };
        forget_own_module(entry);
        // Classes of the user's own were saved under `package>Class`.
        let class = class_of(entry).to_owned();
        if class.contains('>') {
            entry.insert("registered_name".to_owned(), json!(class));
            if let Some(config) = entry.get_mut("config").and_then(Value::as_object_mut) {
                options::mark(&class, config);
            }
            return Ok(());
        }
        if matches!(class.as_str(), "Sequential" | "Functional" | "Model") {
            return self.model(value);
        }
        options::upgrade(entry, self.version)?;
        let Some(config) = entry.get_mut("config").and_then(Value::as_object_mut) else {
            return Ok(());
        };
        for key in ["layer", "backward_layer", "cell"] {
            if let Some(inner) = config.get_mut(key) {
                self.layer(inner)?;
            }
        }
        if let Some(Value::Array(cells)) = config.get_mut("cells") {
            cells.iter_mut().try_for_each(|cell| self.layer(cell))?;
        }
        for key in ["activation", "recurrent_activation"] {
            if let Some(inner @ Value::Object(_)) = config.get_mut(key) {
                self.layer(inner)?;
            }
        }
        Ok(())
    }
}

/// Takes out the module of a class of Keras 2's own. Layers and models within wrappers name theirs
/// since Keras 2.12, and some of those modules (`keras.src.engine.functional`, and the same of
/// `tf_keras`) are not where Keras 3 has the class.
fn forget_own_module(entry: &mut Map<String, Value>) {
    let text = |key: &str| entry.get(key).and_then(Value::as_str);
    let own = text("module").is_some_and(|module| {
        ["keras.engine.", "keras.src.", "tf_keras."].iter().any(|root| module.starts_with(root))
    });
    if own && !text("registered_name").is_some_and(|name| name.contains('>')) {
        entry.remove("module");
        entry.remove("registered_name");
    }
}

/// The InputLayer that a Sequential's first layer stands for, if it is none and has a shape.
fn implied_input(first: &Value) -> Option<Value> {
    let (mut class, mut config) = (class_name(first), first.get("config")?);
    if class == "InputLayer" {
        return None;
    }
    let mut shape = config.get("batch_input_shape").filter(|shape| shape.is_array());
    // Wrappers of Keras 2.0 leave it to the layer that they wrap.
    if shape.is_none() && class == "Bidirectional" {
        let inner = config.get("layer")?;
        (class, config) = (class_name(inner), inner.get("config")?);
        shape = config.get("batch_input_shape").filter(|shape| shape.is_array());
    }
    let name = first.pointer("/config/name").and_then(Value::as_str).unwrap_or("model");
    let dtype = match config.get("dtype") {
        _ if class == "Embedding" => json!("int32"),
        Some(Value::String(dtype)) => json!(dtype),
        _ => json!("float32"),
    };
    let name = format!("{name}_input");
    let config = json!({"name": name, "batch_shape": shape?, "dtype": dtype});
    Some(json!({"class_name": "InputLayer", "config": config}))
}

fn class_of(entry: &Map<String, Value>) -> &str {
    entry.get("class_name").and_then(Value::as_str).unwrap_or("")
}

fn class_name(layer: &Value) -> &str {
    layer.get("class_name").and_then(Value::as_str).unwrap_or("")
}

/// The name of a layer of a functional model.
fn name_of(layer: &Value) -> &str {
    let name = layer.get("name").or_else(|| layer.pointer("/config/name"));
    name.and_then(Value::as_str).unwrap_or("?")
}

/// The error that says what of a layer cannot be read.
fn unsupported(layer: &Value, what: impl std::fmt::Display) -> FormatError {
    FormatError::Unsupported {
        what: format!("layer '{}': {what}", text_of::shorten(name_of(layer))),
        hint: "build the model in Keras 3 with keras.ops, set its weights, and save it again"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERAS3: Version = Version { major: 3, minor: 15 };

    /// What becomes of one entry of a model of Keras 3.
    fn upgraded(entry: Value) -> Value {
        let model = json!({"class_name": "Functional", "config": {"layers": [entry]}});
        upgrade(model, KERAS3).unwrap().pointer("/config/layers/0").unwrap().clone()
    }

    fn entry(class: &str, config: Value) -> Value {
        json!({"class_name": class, "config": config, "name": "x", "inbound_nodes": []})
    }

    #[test]
    fn operators_are_told_from_layers_also_where_they_have_a_type() {
        for config in [json!({"name": "x"}), json!({"dtype": "float32"}), json!({"dtype": null})] {
            assert_eq!(upgraded(entry("Cast", config))["module"], "keras.src.ops.numpy");
        }
        let policy = json!({"class_name": "DTypePolicy", "config": {"name": "float32"}});
        for config in [
            json!({"trainable": true, "dtype": "float32"}),
            json!({"dtype": policy}),
            json!({"layers": []}),
        ] {
            assert_eq!(upgraded(entry("Add", config)).get("module"), None);
        }
        for class in ["InputLayer", "SpatialDropout1D", "mine>Add"] {
            assert_eq!(upgraded(entry(class, json!({"dtype": "float32"}))).get("module"), None);
        }
    }

    #[test]
    fn operators_within_wrapped_models_are_found() {
        let inner = json!({"class_name": "Functional", "module": "keras.src.models.functional",
                           "config": {"layers": [entry("Cumsum", json!({"axis": 1}))]}});
        let wrapper = entry("TimeDistributed", json!({"trainable": true, "layer": inner}));
        let found = upgraded(wrapper);
        let operator = found.pointer("/config/layer/config/layers/0/module").unwrap();
        assert_eq!(operator, "keras.src.ops.numpy");
    }

    #[test]
    fn a_python_class_is_named_as_it_is_exported() {
        let found = upgraded(entry("GroupedQueryAttention", json!({"trainable": true})));
        assert_eq!(found["class_name"], "GroupQueryAttention");
    }
}
