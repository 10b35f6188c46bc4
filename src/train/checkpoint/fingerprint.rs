//! What a checkpoint belongs to: a model, its settings, and data.

use serde_json::{Map, Value};

use super::file::{checksum_of, object};
use crate::graph::{Graph, Tensor};
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
    let assets = model.document().into_iter().flat_map(|document| &document.assets);
    let vocabularies = assets.map(|(path, bytes)| (path.clone(), crc32fast::hash(bytes).into()));
    let start = crc32fast::hash(
        &starting_values(model)
            .flat_map(|value| checksum_of(value).to_le_bytes())
            .collect::<Vec<_>>(),
    );
    let class_weight =
        config.class_weight.iter().map(|(class, weight)| format!("{class}={weight}"));
    let initial_epoch = Value::from(config.initial_epoch);
    object([
        (DATA, arrays(data)),
        (VALIDATION, validation.map_or(object([]), arrays)),
        (
            FIT,
            object([
                ("batch_size", Value::from(config.batch_size)),
                ("shuffle", Value::from(config.shuffle)),
                ("seed", Value::from(config.seed)),
                ("initial_epoch", initial_epoch),
                ("class_weight", class_weight.map(Value::from).collect()),
            ]),
        ),
        (SETTINGS, Value::Object(compile.to_json())),
        (VARIABLES, Value::Object(variables.collect())),
        (VOCABULARIES, Value::Object(vocabularies.collect())),
        (MODEL, object([("architecture", architecture.into()), (START, start.into())])),
    ])
}

/// What the model and its optimizer begin with.
fn starting_values(model: &Model) -> impl Iterator<Item = &Tensor> {
    let variables = model.graph().variables().iter().map(|variable| &*variable.value);
    let state = model.document().into_iter().flat_map(|document| &document.optimizer);
    variables.chain(state.map(|(_, value)| value))
}

/// The parts, in the order in which a difference is looked for: what a user gives comes before what
/// follows from it, such as a vocabulary that was learned from the data.
const DATA: &str = "training data";
const VALIDATION: &str = "validation data";
const FIT: &str = "fit";
const SETTINGS: &str = "settings";
const VARIABLES: &str = "variables";
const VOCABULARIES: &str = "vocabularies";
const MODEL: &str = "model";
/// The entry of the values that training begins with.
const START: &str = "start";

fn arrays(data: &Dataset) -> Value {
    let describe = |prefix: &'static str, tensors: &Tensors| -> Vec<(String, Value)> {
        let entries = tensors.iter().map(|(name, tensor)| {
            let sum = checksum_of(tensor);
            let shape = format!("{} {:?}", tensor.dtype(), tensor.shape());
            (format!("{prefix} `{name}`"), Value::from(vec![shape, format!("{sum:08x}")]))
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

/// The first entry in which the fingerprint of a checkpoint differs from that of the run, in words.
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
                let words = in_words(name, entry, was, is);
                return Some(format!("it belongs to another run: {words}"));
            }
        }
    }
    None
}

/// What of an entry was, and is now.
fn in_words(part: &str, entry: &str, was: Option<&Value>, is: Option<&Value>) -> String {
    let changed = |what: &str, was: Option<&Value>, is: Option<&Value>| {
        format!("{what}: was {}, now {}", say(was), say(is))
    };
    match (part, was, is) {
        (DATA | VALIDATION, Some(was), Some(is)) if was.get(0) == is.get(0) => {
            format!("the {part} are others: {entry} has other values")
        }
        (DATA | VALIDATION, was, is) => {
            let shape = |entry: Option<&'_ Value>| entry.and_then(|entry| entry.get(0)).cloned();
            let what = format!("the {part} are others: {entry}");
            changed(&what, shape(was).as_ref(), shape(is).as_ref())
        }
        (SETTINGS, Some(was), Some(is)) => {
            let (path, was, is) = deepest(entry.to_owned(), was, is);
            changed(&path, was, is)
        }
        (VARIABLES, was, is) => changed(&format!("the model's or optimizer's `{entry}`"), was, is),
        (VOCABULARIES, ..) => format!("the model's vocabulary is another ({entry})"),
        (MODEL, ..) if entry == START => {
            "the model, or its optimizer's state, begins with other values".to_owned()
        }
        (MODEL, ..) => "the model has another architecture".to_owned(),
        (_, was, is) => changed(entry, was, is),
    }
}

/// The innermost setting in which two values differ, by its path.
fn deepest<'v>(
    path: String,
    was: &'v Value,
    is: &'v Value,
) -> (String, Option<&'v Value>, Option<&'v Value>) {
    if let (Some(before), Some(after)) = (was.as_object(), is.as_object()) {
        // Another class has other options, which say less than it does.
        let first = ["class_name"].into_iter().filter(|key| before.contains_key(*key));
        let keys = first.chain(after.keys().chain(before.keys()).map(String::as_str));
        for key in keys {
            let (was, is) = (before.get(key), after.get(key));
            let path = match key {
                // How Keras wraps options, and no setting of its own.
                "config" | "class_name" => path.clone(),
                key => format!("{path} setting {key}"),
            };
            match (was, is) {
                (was, is) if was == is => {}
                (Some(was), Some(is)) => return deepest(path, was, is),
                (was, is) => return (path, was, is),
            }
        }
    }
    (path, Some(was), Some(is))
}

/// A value of an entry.
fn say(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => show(value),
    }
}
