//! What a checkpoint belongs to: a model, its settings, and data.

use serde_json::{Map, Value};

use super::file::{checksum_of, object};
use crate::graph::Graph;
use crate::model::Model;
use crate::runtime::Tensors;
use crate::train::compile::CompileConfig;
use crate::train::config::TrainConfig;
use crate::train::data::Dataset;
use crate::train::object::show;

/// Describes a run, but for how many epochs it has and on how many threads it runs: parts by name,
/// each with entries by name.
pub(in crate::train) fn fingerprint(
    model: &Model,
    graph: &Graph,
    compile: &CompileConfig,
    config: &TrainConfig,
    data: &Dataset,
    validation: Option<&Dataset>,
) -> Value {
    let variables = graph.variables().iter().map(|variable| {
        let value = &variable.value;
        let shape = format!("{:?} {} {:?}", variable.kind, value.dtype(), value.shape());
        (variable.name.clone(), Value::from(shape))
    });
    let architecture = crc32fast::hash(model.graph().to_string().as_bytes());
    let class_weight =
        config.class_weight.iter().map(|(class, weight)| format!("{class}={weight}"));
    let initial_epoch = Value::from(config.initial_epoch);
    object([
        ("variables of the model and the optimizer", Value::Object(variables.collect())),
        ("model", object([("architecture", Value::from(architecture))])),
        ("settings", Value::Object(compile.to_json())),
        (
            "fit settings",
            object([
                ("batch_size", Value::from(config.batch_size)),
                ("shuffle", Value::from(config.shuffle)),
                ("seed", Value::from(config.seed)),
                ("initial_epoch", initial_epoch),
                ("class_weight", class_weight.map(Value::from).collect()),
            ]),
        ),
        ("training data", arrays(data)),
        ("validation data", validation.map_or(object([]), arrays)),
    ])
}

fn arrays(data: &Dataset) -> Value {
    let describe = |prefix: &'static str, tensors: &Tensors| -> Vec<(String, Value)> {
        let entries = tensors.iter().map(|(name, tensor)| {
            let sum = checksum_of(tensor);
            let what = format!("{} {:?} with checksum {sum:08x}", tensor.dtype(), tensor.shape());
            (format!("{prefix} `{name}`"), Value::from(what))
        });
        entries.collect()
    };
    let parts = [
        describe("input", data.inputs()),
        describe("targets", data.targets()),
        describe("sample weights", data.weights()),
    ];
    Value::Object(Map::from_iter(parts.into_iter().flatten()))
}

/// The first entry in which the fingerprint of a checkpoint differs from that of the run.
pub(super) fn difference(saved: &Value, now: &Value) -> Option<String> {
    let (Some(saved), Some(now)) = (saved.as_object(), now.as_object()) else {
        return Some("it says nothing of what it belongs to".to_owned());
    };
    let nothing = Map::new();
    let part = |of: &Map<String, Value>, name: &str| -> Map<String, Value> {
        of.get(name).and_then(Value::as_object).unwrap_or(&nothing).clone()
    };
    let names = now.keys().chain(saved.keys().filter(|name| !now.contains_key(name.as_str())));
    for name in names {
        let (was, is) = (part(saved, name), part(now, name));
        let entries = is.keys().chain(was.keys().filter(|entry| !is.contains_key(entry.as_str())));
        for entry in entries {
            let (was, is) = (was.get(entry), is.get(entry));
            if was != is {
                let say = |value: Option<&Value>| match value {
                    None => "absent".to_owned(),
                    Some(Value::String(text)) => text.clone(),
                    Some(value) => show(value),
                };
                let (was, is) = (say(was), say(is));
                return Some(format!(
                    "it belongs to another run: {name}, {entry}: it has {was}, now {is}"
                ));
            }
        }
    }
    None
}
