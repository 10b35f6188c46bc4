//! The `seqfuse` command as a person or a script meets it.
#![cfg(feature = "cli")]

use std::process::{Command, Output};

use seqfuse::formats::npz::write_npz;
use seqfuse::{Tensor, Tensors};
use serde_json::Value;
use tempfile::TempDir;

/// Sentences with labels by name.
pub const SENTENCES: &str = "models/samples/sentences.csv";

/// Runs the command.
pub fn seqfuse(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqfuse"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command.output().expect("the command starts")
}

/// What a command wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("is UTF-8")
}

/// What a command prints that must succeed.
pub fn done(arguments: &[&str]) -> String {
    let output = seqfuse(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What a command says that must be refused.
pub fn refused(exit: i32, arguments: &[&str]) -> String {
    let output = seqfuse(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {said}");
    said
}

/// A folder for one test.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        Place(TempDir::new().expect("a folder"))
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    pub fn file(&self, name: &str, content: &str) -> String {
        std::fs::write(self.0.path().join(name), content).expect("is written");
        self.path(name)
    }

    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("is listed");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("is listed").file_name().into_string().expect("UTF-8")
        };
        entries.map(name).collect()
    }
}

/// A file of JSON.
pub fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("is there")).expect("is JSON")
}

/// Lines of a file.
pub fn rows(count: usize, row: impl Fn(usize) -> String) -> String {
    (0..count).map(|index| row(index) + "\n").collect()
}

/// A model on three numbers that tells `classes` apart.
pub fn dense(place: &Place, classes: usize) -> String {
    let (units, activation, loss) = match classes {
        2 => (1, "sigmoid", "binary_crossentropy"),
        _ => (classes, "softmax", "sparse_categorical_crossentropy"),
    };
    place.file(
        "dense.json",
        &format!(
            r#"{{"class_name": "Sequential", "config": {{"layers": [
            {{"class_name": "InputLayer", "config": {{"batch_shape": [null, 3], "name": "x"}}}},
            {{"class_name": "Dense", "config": {{"units": {units}, "activation": "{activation}"}}}}]}},
            "compile_config": {{"optimizer": "adam", "loss": "{loss}", "metrics": ["accuracy"]}}}}"#
        ),
    )
}

/// A model that looks up two ids below 10, and tells three classes apart.
pub fn lookup(place: &Place) -> String {
    place.file(
        "lookup.json",
        r#"{"class_name": "Sequential", "config": {"layers": [
            {"class_name": "InputLayer",
             "config": {"batch_shape": [null, 2], "dtype": "int32", "name": "ids"}},
            {"class_name": "Embedding", "config": {"input_dim": 10, "output_dim": 3}},
            {"class_name": "Flatten", "config": {}},
            {"class_name": "Dense", "config": {"units": 3, "activation": "softmax"}}]},
            "compile_config": {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"}}"#,
    )
}

/// A model on four numbers with the outputs `number` and `label`, which tells three classes apart.
pub const TWO_OUTPUTS: &str = "tests/fixtures/training/fit/outputs_by_list.keras";

/// A file of arrays.
pub fn arrays(place: &Place, name: &str, arrays: Tensors) -> String {
    let path = place.path(name);
    std::fs::write(&path, write_npz(&arrays).expect("is written")).expect("is written");
    path
}

/// Numbers in a shape.
pub fn floats(shape: &[usize], of: impl Fn(usize) -> f32) -> Tensor {
    let count = shape.iter().product();
    Tensor::new(shape, (0..count).map(of).collect::<Vec<f32>>()).expect("the count fits")
}

/// Whole numbers in a shape.
pub fn integers(shape: &[usize], values: &[i64]) -> Tensor {
    Tensor::new(shape, values.to_vec()).expect("the count fits")
}
