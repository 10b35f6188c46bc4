//! The fixtures that real Keras made: where they lie, and the list of them.

use std::path::{Path, PathBuf};

use seqfuse::{CustomRegistry, ReadOptions};
use serde_json::Value;

/// `tests/fixtures`.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The entries of one index, by its path below the fixtures.
pub fn list(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixtures().join(file)).expect("the list is there");
    serde_json::from_str(&text).expect("a list")
}

/// The cases of all families that hold Keras models, in order of name.
pub fn all() -> Vec<Value> {
    let families = std::fs::read_dir(fixtures()).expect("the fixtures are there");
    let mut families: Vec<PathBuf> =
        families.map(|entry| entry.expect("can be listed").path()).collect();
    families.sort();
    let models = families.iter().filter(|family| !family.ends_with("text"));
    let lists = models.map(|family| family.join("cases.json")).filter(|index| index.exists());
    lists.flat_map(|index| list(index.to_str().expect("UTF-8"))).collect()
}

/// The entries of an index that is an object, by its path below the fixtures.
pub fn object(file: &str) -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(fixtures().join(file)).expect("the index is there");
    serde_json::from_str(&text).expect("an object")
}

/// The templates of the fixtures' custom classes: those of `models/custom`, and the fixtures' own.
pub fn templates() -> CustomRegistry {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = std::fs::read_dir(root.join("models/custom")).expect("the templates are there");
    let mut files: Vec<PathBuf> =
        shipped.map(|entry| entry.expect("can be listed").path()).collect();
    files.sort();
    files.push(fixtures().join("custom/templates.json"));
    let mut registry = CustomRegistry::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a template is UTF-8");
        let added = registry.register(&text);
        added.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    registry
}

/// How the fixtures are read: with the templates of their custom classes.
pub fn options() -> ReadOptions {
    ReadOptions { custom: templates(), ..ReadOptions::default() }
}
