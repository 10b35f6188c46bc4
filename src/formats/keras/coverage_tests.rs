//! `docs/keras.md`: what is read and what is refused, as the readers and real Keras's files say.
//!
//! `SEQFUSE_UPDATE_DOCS=1 cargo test coverage` writes it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::archive::KerasArchive;
use super::config::record::{self, Use};
use super::config::{Description, LayerConfig, LayerKind, ModelConfig};
use super::layers;
use crate::formats::{FormatError, ReadOptions};

/// Classes that are read under another row, or that only files of Keras 2 hold.
const OF_KERAS_2: [&str; 1] = ["ThresholdedReLU"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn index(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("the index is there");
    serde_json::from_str(&text).expect("a list")
}

/// The `.keras` files that must be read, in order.
fn fixtures() -> Vec<PathBuf> {
    let families = fs::read_dir(root().join("tests/fixtures")).expect("the fixtures are there");
    let mut files = Vec::new();
    for family in families {
        let family = family.expect("an entry").path();
        let list = family.join("cases.json");
        if !list.exists() || family.ends_with("text") {
            continue;
        }
        for case in index(&list) {
            let name = case["name"].as_str().expect("a name");
            let file = family.join(format!("{name}.keras"));
            files.extend(file.exists().then_some(file));
        }
    }
    files.sort();
    files
}

/// Adds the classes of layers and operators, each once a model.
fn classes_of(model: &ModelConfig, layers: &mut BTreeSet<String>, ops: &mut BTreeSet<String>) {
    for layer in model.layers() {
        match &layer.kind {
            LayerKind::Operator => ops.insert(layer.class_name.clone()),
            _ => layers.insert(layer.class_name.clone()),
        };
        classes_within(layer, layers);
        if let LayerKind::Model(inner) = &layer.kind {
            classes_of(inner, layers, ops);
        }
    }
}

/// Adds the classes of layers within options: cells, wrapped layers.
fn classes_within(layer: &LayerConfig, found: &mut BTreeSet<String>) {
    let mut open: Vec<&Value> = layer.raw_options().values().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(entries) => {
                if let Some(class) = entries.get("class_name").and_then(Value::as_str) {
                    found.insert(class.to_owned());
                }
                open.extend(entries.values());
            }
            _ => {}
        }
    }
}

/// How many fixtures hold each layer and each operator.
fn counts() -> (BTreeMap<String, usize>, BTreeMap<String, usize>) {
    let (mut layers, mut operators) = (BTreeMap::new(), BTreeMap::new());
    for file in fixtures() {
        let bytes = fs::read(&file).expect("reads");
        let archive = KerasArchive::read(&bytes).expect("an archive");
        let Ok(description) = Description::from_archive(&archive) else { continue };
        let (mut of_layers, mut of_operators) = (BTreeSet::new(), BTreeSet::new());
        if let Some(model) = description.model.as_model() {
            classes_of(model, &mut of_layers, &mut of_operators);
        }
        of_layers.into_iter().for_each(|class| *layers.entry(class).or_insert(0) += 1);
        of_operators.into_iter().for_each(|class| *operators.entry(class).or_insert(0) += 1);
        // Layers of custom classes need templates, which tests/custom_classes.rs gives them.
        if !file.parent().is_some_and(|family| family.ends_with("custom")) {
            let read = super::read(&bytes, &ReadOptions::default());
            assert!(read.is_ok(), "{}: {:?}", file.display(), read.err());
        }
    }
    (layers, operators)
}

fn chain(error: &FormatError) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors tell their cause in their own line; the command prints it once too.
        if !line.contains(&text) {
            let _ = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line
}

/// Rows of what must be refused: the option, and the error.
fn refusals() -> String {
    let folder = root().join("tests/fixtures/refused");
    let mut rows = String::new();
    for case in index(&folder.join("reasons.json")) {
        let (name, option) = (case["name"].as_str(), case["option"].as_str());
        let file = folder.join(format!("{}.keras", name.expect("a name")));
        let read = super::read(&fs::read(file).expect("reads"), &ReadOptions::default());
        // What is read without a vocabulary is refused when it runs.
        let said = read.err().map_or("when it runs".to_owned(), |error| chain(&error));
        let said = said.replace('|', "\\|").replace('\n', " ");
        let _ = writeln!(rows, "| {} | {said} |", option.expect("an option"));
    }
    rows
}

fn names(options: &BTreeMap<String, Use>, wanted: Use) -> String {
    let named = options.iter().filter(|(_, found)| **found == wanted);
    let named: Vec<String> = named.map(|(name, _)| format!("`{name}`")).collect();
    named.join(", ")
}

fn page() -> String {
    let _ = record::taken();
    let (layers, operators) = counts();
    let record = record::taken();
    let mut rows = String::new();
    for class in layers::classes() {
        let empty = BTreeMap::new();
        let options = record.get(class).unwrap_or(&empty);
        let found = layers.get(class).copied().unwrap_or(0);
        assert!(found > 0 || OF_KERAS_2.contains(&class), "no fixture holds a layer of {class}");
        let _ = writeln!(
            rows,
            "| {class} | {} | {} | {} | {} | {found} |",
            names(options, Use::Honoured),
            names(options, Use::Only),
            names(options, Use::Training),
            names(options, Use::Ignored)
        );
    }
    let list = |(class, count): (&String, &usize)| format!("{class} ({count})");
    let operators: Vec<String> = operators.iter().map(list).collect();
    format!(
        include_str!("coverage.md"),
        rows = rows,
        operators = operators.join(", "),
        refusals = refusals()
    )
}

#[test]
fn the_table_of_layers_options_and_refusals_is_what_the_code_does() {
    let file = root().join("docs/keras.md");
    let page = page();
    if std::env::var_os("SEQFUSE_UPDATE_DOCS").is_some() {
        fs::create_dir_all(root().join("docs")).expect("a folder");
        fs::write(&file, &page).expect("writes");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/keras.md is not what the code does: SEQFUSE_UPDATE_DOCS=1 cargo test coverage"
    );
}
