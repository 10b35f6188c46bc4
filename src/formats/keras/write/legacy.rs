//! The legacy `.h5` form that Keras 3 still loads: the configuration in attributes, and for each
//! layer of the model a group that lists its weights in order.
//!
//! Keras itself writes layers without their module there, and then loads `x + y` as the layer `Add`.
//! It reads entries with a module as those of `.keras` files, so they are written with one.

use std::collections::HashSet;

use hdf5_pure::AttrValue;
use serde_json::{Map, Value, json};

use super::tree::Tree;
use super::{config, count, version, without_bf16};
use crate::formats::keras::Document;
use crate::formats::keras::legacy::file::LABELS;
use crate::formats::{FormatError, Written};
use crate::graph::Graph;

/// The group of weights that are the model's own, of no layer.
const OF_MODEL: &str = "top_level_model_weights";

/// Bytes of names that Keras puts into one attribute.
const ATTRIBUTE_LIMIT: usize = 64512;

/// Writes a legacy `.h5` file.
///
/// # Errors
/// If Keras 3 has no words for a part of the model, two models or wrappers share a layer, or an
/// argument is an Ellipsis, which this form cannot say.
pub fn write_legacy(graph: &Graph, document: &Document) -> Result<Written, FormatError> {
    refuse_sharing(&document.config)?;
    refuse_ellipsis(&document.config)?;
    let class = document.config.get("class_name").and_then(Value::as_str).unwrap_or("");
    if !["Sequential", "Functional", "Model"].contains(&class) {
        return Err(FormatError::Unwritable {
            what: format!("a model of the class '{class}'"),
            format: ".h5",
            hint: "Keras lists weights of such models in another way; write .keras or .safetensors"
                .to_owned(),
        });
    }
    let (model, files) = document.config_with_vocabularies();
    let mut left_out: Vec<String> = files
        .iter()
        .filter(|path| !Document::is_labels(path))
        .map(|path| format!("asset '{path}' is left out: .h5 holds no assets"))
        .collect();
    let model = config::complete(graph, model, ".h5")?;
    let mut tree = Tree::default();
    let text = |text: &str| AttrValue::VarLenString(text.to_owned());
    tree.set("backend", text("tensorflow"));
    tree.set("keras_version", text(version(document)));
    if let Some(labels) = document.labels_text() {
        tree.set(LABELS, text(labels));
    }
    let wanted: Map<String, Value> = ["class_name", "config"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), model.get(key)?.clone())))
        .collect();
    tree.set("model_config", text(&config::text(&Value::Object(wanted))));
    if let Some(compile) = &document.compile_config {
        let training = training_config(&config::complete_compile(compile));
        tree.set("training_config", text(&config::text(&training)));
    }
    layers(&mut tree, graph, document, &mut left_out)?;
    optimizer(&mut tree, document, &mut left_out)?;
    let counters: Vec<_> = document
        .extras
        .iter()
        .filter(|(path, _)| !path.ends_with("/idf_weights"))
        .cloned()
        .collect();
    if !counters.is_empty() {
        left_out.push(format!(
            "the counters of random generators ({}) are left out: .h5 has no place for them",
            count(&counters)
        ));
    }
    Ok(Written { bytes: tree.finish()?, left_out })
}

/// Writes the weights of each layer of the outermost model.
fn layers(
    tree: &mut Tree,
    graph: &Graph,
    document: &Document,
    left_out: &mut Vec<String>,
) -> Result<(), FormatError> {
    let group = tree.group("model_weights")?;
    group.set("backend", AttrValue::VarLenString("tensorflow".to_owned()));
    group.set("keras_version", AttrValue::VarLenString(version(document).to_owned()));
    // What a subclassed model has of its own is listed under no layer.
    let layers = document.groups.iter().map(|group| &group.layer);
    let names = layers.filter(|layer| *layer != OF_MODEL).cloned().collect();
    list(group, "layer_names", names)?;
    let mut widened = 0;
    for layer in &document.groups {
        let group = group.group(&layer.layer)?;
        let mut names = Vec::new();
        for &position in &layer.variables {
            let Some(saved) = document.variables.get(position) else { continue };
            let variable = graph.variable(saved.variable);
            let stored = document.stored.get(&saved.path);
            widened += usize::from(stored.is_some() && without_bf16(stored).is_none());
            group.put(&variable.name, &variable.value, without_bf16(stored))?;
            names.push(variable.name.clone());
        }
        list(group, "weight_names", names)?;
    }
    if !document.groups.iter().any(|group| group.layer == OF_MODEL) {
        list(group.group(OF_MODEL)?, "weight_names", Vec::new())?;
    }
    if widened > 0 {
        left_out.push(format!(
            "{widened} weights in bfloat16 are written as float32, the same values: Keras reads no \
             bfloat16 from .h5"
        ));
    }
    Ok(())
}

/// Writes the optimizer's state, where one list can hold it.
fn optimizer(
    tree: &mut Tree,
    document: &Document,
    left_out: &mut Vec<String>,
) -> Result<(), FormatError> {
    if document.optimizer.is_empty() {
        return Ok(());
    }
    if let Some(note) = super::foreign_state(document) {
        left_out.push(note);
        return Ok(());
    }
    let plain = |path: &str| path.strip_prefix("vars/").is_some_and(|rest| !rest.contains('/'));
    if !document.optimizer.iter().all(|(path, _)| plain(path)) {
        left_out.push(format!(
            "the state of the optimizer ({}) is left out: .h5 has no place for that of an optimizer \
             within another",
            count(&document.optimizer)
        ));
        return Ok(());
    }
    let group = tree.group("optimizer_weights")?;
    let mut names = Vec::new();
    for (path, value) in &document.optimizer {
        let stored = document.stored.get(&format!("optimizer/{path}"));
        group.put(path, value, without_bf16(stored))?;
        names.push(path.clone());
    }
    list(group, "weight_names", names)
}

/// Notes a list of names, in pieces where it is long, as Keras cuts it: into the fewest pieces of
/// nearly equal count whose names, all padded to the longest of all, take no more than the limit.
fn list(group: &mut Tree, name: &str, names: Vec<String>) -> Result<(), FormatError> {
    let width = names.iter().map(String::len).max().unwrap_or(0).max(1);
    if width > ATTRIBUTE_LIMIT {
        return Err(FormatError::Unwritable {
            what: format!("a name of {width} bytes"),
            format: ".h5",
            hint: "give the layer a shorter name".to_owned(),
        });
    }
    let pieces = (names.len() * width).div_ceil(ATTRIBUTE_LIMIT).max(1);
    let fits = |pieces: usize| names.len().div_ceil(pieces) * width <= ATTRIBUTE_LIMIT;
    let pieces = (pieces..).find(|&pieces| fits(pieces)).unwrap_or(1);
    if names.is_empty() {
        // As NumPy makes it of an empty list.
        group.set(name, AttrValue::F64Array(Vec::new()));
    } else if pieces == 1 {
        group.set(name, AttrValue::StringArray(names));
    } else {
        let (size, longer) = (names.len() / pieces, names.len() % pieces);
        let mut names = names.into_iter();
        for piece in 0..pieces {
            let count = size + usize::from(piece < longer);
            let part: Vec<String> = names.by_ref().take(count).collect();
            group.set(&format!("{name}{piece}"), AttrValue::StringArray(part));
        }
    }
    Ok(())
}

/// The compile settings under the names that this form has for them.
fn training_config(compile: &Map<String, Value>) -> Value {
    let mut training = compile.clone();
    let optimizer = training.shift_remove("optimizer").unwrap_or_else(|| "rmsprop".into());
    let optimizer = match optimizer {
        Value::String(name) => json!({"class_name": name, "config": {}}),
        Value::Object(entries) => {
            let kept = ["class_name", "config"];
            entries.into_iter().filter(|(key, _)| kept.contains(&key.as_str())).collect()
        }
        other => other,
    };
    training.insert("optimizer_config".to_owned(), optimizer);
    for key in ["loss", "loss_weights", "metrics", "weighted_metrics"] {
        training.entry(key).or_insert(Value::Null);
    }
    Value::Object(training)
}

/// Refuses layers that stand in two places, which are two layers in this form.
fn refuse_sharing(model: &Value) -> Result<(), FormatError> {
    match shared(model, &mut HashSet::new()) {
        None => Ok(()),
        Some(layer) => Err(FormatError::Unwritable {
            what: format!("layer '{layer}', which two models or wrappers share,"),
            format: ".h5",
            hint: "write .keras or .safetensors".to_owned(),
        }),
    }
}

fn shared(layer: &Value, seen: &mut HashSet<u64>) -> Option<String> {
    let config = layer.get("config")?;
    let children = config::CHILDREN.iter().filter_map(|key| config.get(key));
    let mut children = children.flat_map(|child| match child {
        Value::Array(layers) => layers.as_slice(),
        one => std::slice::from_ref(one),
    });
    children.find_map(|layer| {
        let id = layer.get("shared_object_id").and_then(Value::as_u64);
        if id.is_some_and(|id| !seen.insert(id)) {
            let name = layer.pointer("/config/name").and_then(Value::as_str).unwrap_or("?");
            return Some(name.to_owned());
        }
        shared(layer, seen)
    })
}

/// Refuses `x[..., i]`: Keras makes the object of this before it reads the layer, and then fails.
fn refuse_ellipsis(model: &Value) -> Result<(), FormatError> {
    match with_ellipsis(model, "?") {
        None => Ok(()),
        Some(layer) => Err(FormatError::Unwritable {
            what: format!("the Ellipsis (`...`) among the arguments of '{layer}'"),
            format: ".h5",
            hint: "Keras does not load it from there; write .keras or .safetensors".to_owned(),
        }),
    }
}

fn with_ellipsis(value: &Value, layer: &str) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| with_ellipsis(item, layer)),
        Value::Object(entries) => {
            if entries.get("class_name").is_some_and(|class| class == "__ellipsis__") {
                return Some(layer.to_owned());
            }
            let name = value.pointer("/config/name").and_then(Value::as_str).unwrap_or(layer);
            entries.values().find_map(|item| with_ellipsis(item, name))
        }
        _ => None,
    }
}
