//! The `seqfuse` command as a person or a script meets it: help, refusals, exit codes.

#![cfg(feature = "cli")]

use std::path::Path;
use std::process::{Command, Output};

fn seqfuse(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqfuse"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command.output().expect("the command starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("standard output is UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("standard error is UTF-8")
}

/// Runs a command that must be refused, and gives what it says.
fn refused(exit: i32, arguments: &[&str]) -> String {
    let output = seqfuse(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {text}");
    assert!(text.starts_with("error: "), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", stdout(&output));
    text
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in ["run", "inspect", "convert", "verify", "train", "evaluate", "bench", "devices"]
    {
        let help = seqfuse(&[command, "--help"]);
        assert_eq!(help.status.code(), Some(0));
        let text = stdout(&help);
        assert!(text.contains(&format!("  seqfuse {command}")), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}

#[test]
fn what_is_not_built_is_absent_from_help_and_refused_by_name() {
    let help = stdout(&seqfuse(&["--help"]));
    let listed = |line: &str| line.split_whitespace().next() == Some("compare");
    assert!(!help.lines().any(listed), "{help}");
    let text = refused(2, &["compare", "a.keras", "b.keras"]);
    assert!(text.contains("`seqfuse compare` is not built yet"), "{text}");
    for format in ["dot", "svg", "html"] {
        let text = refused(2, &["inspect", "a.keras", "--format", format]);
        assert!(text.contains(&format!("`{format}` is not built yet")), "{text}");
    }
    let text = refused(2, &["verify", "a.keras", "--against", "tract"]);
    assert!(text.contains("is not built yet"), "{text}");
    let text = refused(2, &["verify", "a.keras", "--against", "ort"]);
    let without = text.contains("`--features ort`");
    assert!(without || text.contains(".onnx"), "{text}");
}

#[test]
fn wrong_usage_exits_with_2() {
    refused(2, &["run", "a.keras"]);
    refused(2, &["run", "a.keras", "--text", "a", "--input", "b.npz"]);
    refused(2, &["run", "--text", "a"]);
    refused(2, &["run", "a.keras", "--text", "a", "--batch-size", "0"]);
    refused(2, &["run", "a.keras", "--text", "a", "--threads", "0"]);
    refused(2, &["run", "a.keras", "--text", "a", "--device", "tpu"]);
    refused(2, &["run", "a.keras", "--text", "a", "--output", "predictions.txt"]);
    refused(2, &["verify", "a.keras", "--against", "reference", "--rtol=-1"]);
    refused(2, &["verify", "a.keras", "--against", "outputs.csv"]);
    refused(2, &["inspect", "a.keras", "--format", "xml"]);
    refused(2, &["inspect", "a.keras", "--length", "long"]);
}

#[test]
fn a_missing_file_is_named_with_its_cause_below() {
    let text = refused(1, &["run", "no/such/model.keras", "--text", "a"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("no/such/model.keras"), "{text}");
    assert!(lines[1].starts_with("  caused by: "), "{text}");
    assert_eq!(lines.len(), 2, "{text}");
    refused(1, &["inspect", "no/such/model.keras"]);
    refused(1, &["verify", "no/such/model.keras", "--against", "reference"]);
    refused(1, &["verify", "no/such/model.keras", "--against", "no/such/outputs.npz"]);
}

#[test]
fn a_model_of_another_format_is_refused_by_its_extension() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for name in ["model.onnx", "model.h5", "model.safetensors", "model.bin", "model"] {
        let path = folder.path().join(name);
        std::fs::write(&path, b"anything").expect("the file is written");
        let path = path.to_string_lossy();
        assert!(refused(1, &["inspect", &path]).contains(name), "{name}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_model_is_read() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let missing = folder.path().join("missing").join("out.json");
    for target in [missing.as_path(), Path::new("no/out.npz")] {
        let target = target.to_string_lossy();
        let text = refused(1, &["run", "no-model.keras", "--text", "a", "--output", &target]);
        assert!(text.contains("cannot be written") && !text.contains("no-model"), "{text}");
    }
    let folder = folder.path().to_string_lossy();
    let text = refused(1, &["inspect", "no-model.keras", "--output", &folder]);
    assert!(text.contains("it is a folder"), "{text}");
}

#[test]
fn a_failed_run_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let target = folder.path().join("out.json");
    refused(1, &["run", "no-model.keras", "--text", "a", "--output", &target.to_string_lossy()]);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder is there").count(), 0);
}

#[test]
fn devices_names_the_processor_and_its_instructions() {
    let output = seqfuse(&["devices"]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(text.contains("cpu") && text.contains("thread"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqfuse"));
    let command = command.arg("devices").stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn an_architecture_is_refused_where_the_file_holds_its_own() {
    let description = "models/sentiment-lstm.json";
    for model in ["models/sentiment.keras", description] {
        let text = refused(1, &["inspect", model, "--architecture", description]);
        assert!(text.contains(model) && text.contains("leave --architecture out"), "{text}");
    }
}

#[test]
fn an_architecture_that_is_no_description_is_named_itself() {
    let file = "models/sentiment.keras";
    let text = refused(1, &["inspect", "some.weights.h5", "--architecture", file]);
    assert!(text.contains("models/sentiment.keras: the description is not valid JSON"), "{text}");
    assert!(text.contains("to_json()"), "{text}");
}

#[test]
fn weights_that_were_drawn_are_told_where_they_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("drawn.keras");
    let out = out.to_str().expect("UTF-8");
    let output = seqfuse(&["convert", "models/sentiment-lstm.json", out]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("drawn by its initializers"), "{}", stderr(&output));
    let again = folder.path().join("again.json");
    let output = seqfuse(&["convert", out, again.to_str().expect("UTF-8")]);
    assert!(!stderr(&output).contains("drawn"), "{}", stderr(&output));
}
