//! The `seqfuse` command on models and fixtures of this repository.

#![cfg(feature = "cli")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const TEXT_MODEL: &str = "tests/fixtures/documented/tiny-lstm.keras";
const IDS_MODEL: &str = "tests/fixtures/documented/sentiment-lstm.keras";
const IDS_ARRAYS: &str = "tests/fixtures/documented/sentiment-lstm.npz";

fn seqfuse(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqfuse"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command.output().expect("the command starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("what the command prints is UTF-8")
}

fn done(arguments: &[&str]) -> String {
    let output = seqfuse(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn refused(arguments: &[&str]) -> String {
    let output = seqfuse(arguments);
    let error = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {error}");
    assert!(error.starts_with("error: "), "{arguments:?}: {error}");
    error
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&done(arguments)).expect("it prints JSON")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

#[test]
fn texts_stand_beside_their_probability_in_80_columns() {
    let long = "a film that goes on and on ".repeat(10);
    let printed = done(&["run", TEXT_MODEL, "--text", "a good film", "--text", &long]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert!(lines[0].starts_with("a good film  "), "{printed}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{printed}");
    let kept = json(&["run", TEXT_MODEL, "--text", "a good film", "--output", "-"]);
    let probability = kept["dense"][0][0].as_f64().expect("a number");
    let shown: f64 = lines[0].rsplit(' ').next().and_then(|p| p.parse().ok()).expect("a number");
    assert!((probability - shown).abs() < 1e-6);
}

#[test]
fn every_form_of_input_gives_the_same_results() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("the file is written");
        path.to_string_lossy().into_owned()
    };
    let expected =
        json(&["run", TEXT_MODEL, "--text", "good", "--text", "bad, bad", "--output", "-"]);
    let lines = write("texts.txt", "good\nbad, bad\n");
    assert_eq!(json(&["run", TEXT_MODEL, "--text-file", &lines, "--output", "-"]), expected);
    let files = [
        write("rows.csv", "good\n\"bad, bad\"\n"),
        write("labelled.csv", "label,text\n1,good\n0,\"bad, bad\"\n"),
        write("rows.tsv", "text\ngood\nbad, bad\n"),
        write("rows.jsonl", "\"good\"\n\"bad, bad\"\n"),
    ];
    for file in files {
        let found = json(&["run", TEXT_MODEL, "--input", &file, "--output", "-"]);
        assert_eq!(found, expected, "{file}");
    }
}

#[test]
fn results_are_kept_as_arrays_that_are_read_back() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("results.npz");
    let target = path.to_string_lossy();
    done(&[
        "run",
        IDS_MODEL,
        "--input",
        IDS_ARRAYS,
        "--output",
        &target,
        "--outputs",
        "lstm,dense",
    ]);
    let bytes = std::fs::read(&path).expect("the file is there");
    let kept = seqfuse::formats::npz::read_npz(&bytes).expect("it is an .npz");
    assert!(kept.names().eq(["lstm", "dense"]));
    assert_eq!(kept.get("dense").map(|tensor| tensor.shape().to_vec()), Some(vec![4, 16]));
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder is there").count(), 1);
    // Threads change nothing, and batches no more than how many rows a product has.
    let whole = ["run", IDS_MODEL, "--input", IDS_ARRAYS, "--output", "-"];
    let all = json(&whole);
    assert_eq!(json(&[&whole[..], &["--threads", "1"]].concat()), all);
    let cut = json(&[&whole[..], &["--batch-size", "3", "--threads", "1"]].concat());
    let numbers = |all: &serde_json::Value| -> Vec<f64> {
        let rows = all["dense_1"].as_array().expect("rows");
        rows.iter().map(|row| row[0].as_f64().expect("a number")).collect()
    };
    assert_eq!(numbers(&all).len(), 4);
    for (a, b) in numbers(&cut).into_iter().zip(numbers(&all)) {
        assert!((a - b).abs() <= 1e-6, "{a}, not {b}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("the file is written");
        path.to_string_lossy().into_owned()
    };
    assert!(refused(&["run", IDS_MODEL, "--text", "a"]).contains("takes no text"));
    let short = write("short.csv", "1,2\n");
    assert!(refused(&["run", IDS_MODEL, "--input", &short]).contains("short.csv: line 1"));
    let outside = vec!["-1"; 100].join(",");
    let outside = write("outside.csv", &format!("{outside}\n"));
    assert!(refused(&["run", IDS_MODEL, "--input", &outside]).contains("token id -1"));
    assert!(refused(&["run", TEXT_MODEL, "--input", IDS_ARRAYS]).contains("string"));
    assert!(refused(&["run", TEXT_MODEL, "--text", "a", "--outputs", "lstn"]).contains("lstn"));
    let labels = write("labels.txt", "a\nb\nc\n");
    let error = refused(&["run", TEXT_MODEL, "--text", "a", "--labels", &labels]);
    assert!(error.contains("3 labels"), "{error}");
    let empty = write("empty.npz", "");
    assert!(refused(&["run", IDS_MODEL, "--input", &empty]).contains("it is empty"));
}

#[test]
fn labels_name_what_is_most_probable() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let labels = folder.path().join("labels.txt");
    std::fs::write(&labels, "negative\npositive\n").expect("the file is written");
    let labels = labels.to_string_lossy();
    let arguments = ["run", TEXT_MODEL, "--text", "a good film", "--labels", &labels];
    let printed = done(&arguments);
    assert!(printed.contains("  negative ") || printed.contains("  positive "), "{printed}");
    let kept = json(&[&arguments[..], &["--output", "-"]].concat());
    let name = kept["labels/dense"][0].as_str().expect("a name");
    assert!(printed.contains(name), "{printed}");
}

#[test]
fn verify_agrees_with_keras_and_says_where_it_does_not() {
    let printed = done(&["verify", IDS_MODEL, "--against", IDS_ARRAYS]);
    assert!(printed.contains("All 1 match"), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    let reference = done(&["verify", IDS_MODEL, "--against", "reference", "--nodes"]);
    assert!(reference.contains("lstm_1") && reference.contains("All 6 match"), "{reference}");
    // Another model's numbers: the same input, weights of another seed.
    let other = "models/sentiment-lstm.json";
    let output = seqfuse(&["verify", other, "--against", IDS_ARRAYS]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("differs"));
    assert!(text(&output.stderr).contains("differs at [0, 0]: "), "{}", text(&output.stderr));
}

#[test]
fn templates_describe_custom_classes_wherever_a_model_is_read() {
    const MODEL: &str = "tests/fixtures/custom/tutorial.keras";
    const ARRAYS: &str = "tests/fixtures/custom/tutorial.npz";
    const BLOCK: [&str; 2] = ["--custom", "models/custom/transformer-block.json"];
    const POSITIONS: [&str; 2] = ["--custom", "models/custom/token-and-position-embedding.json"];
    let with = |start: &[&'static str], templates: &[[&'static str; 2]]| {
        [start, &templates.concat()].concat()
    };
    let verify = ["verify", MODEL, "--against", ARRAYS];
    let printed = done(&with(&verify, &[BLOCK, POSITIONS]));
    assert!(printed.contains("All 1 match"), "{printed}");
    // One for each class, and the refusal names the class that has none.
    for (templates, class) in
        [(&[][..], "TokenAndPositionEmbedding"), (&[POSITIONS], "TransformerBlock")]
    {
        let error = refused(&with(&verify, templates));
        assert!(error.contains(class) && error.contains("--custom FILE.json"), "{error}");
    }
    let error = refused(&[&verify[..], &["--custom", "models/custom/absent.json"]].concat());
    assert!(error.contains("models/custom/absent.json"), "{error}");
    let error = refused(&[&verify[..], &["--custom", "README.md"]].concat());
    assert!(error.contains("README.md"), "{error}");
    let summary = done(&with(&["inspect", MODEL], &[BLOCK, POSITIONS]));
    assert!(summary.contains("TransformerBlock"), "{summary}");
    // What is written needs the templates again, and then gives the same.
    let folder = tempfile::tempdir().expect("a folder for the test");
    let target = folder.path().join("kept.safetensors").to_string_lossy().into_owned();
    done(&[&["convert", MODEL, &target][..], &[BLOCK, POSITIONS].concat()].concat());
    let kept = ["verify", &target, "--against", ARRAYS];
    assert!(refused(&kept).contains("TokenAndPositionEmbedding"));
    let printed = done(&[&kept[..], &[BLOCK, POSITIONS].concat()].concat());
    assert!(printed.contains("All 1 match"), "{printed}");
}

#[test]
fn every_description_has_the_layers_and_parameters_of_keras_summary() {
    let path = root().join("tests/fixtures/documented/summary.json");
    let summary = std::fs::read_to_string(path).expect("the fixture is there");
    let summary: Value = serde_json::from_str(&summary).expect("it is JSON");
    for (name, expected) in summary.as_object().expect("an object") {
        let model = format!("models/{name}.json");
        let found = json(&["inspect", &model, "--format", "json"]);
        assert_eq!(found["total"]["parameters"], expected["parameters"], "{name}");
        let table = done(&["inspect", &model]);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        let weighted = |layers: &Value, key: &str| -> Vec<(Value, Value)> {
            let layers = layers.as_array().cloned().unwrap_or_default();
            let top = layers.iter().filter(|layer| layer["depth"].as_u64().unwrap_or(0) == 0);
            let top = top.filter(|layer| layer["parameters"] != 0);
            top.map(|layer| (layer["class"].clone(), layer[key].clone())).collect()
        };
        let expected = weighted(&expected["layers"], "parameters");
        assert_eq!(weighted(&found["layers"], "parameters"), expected, "{name}");
    }
}

#[test]
fn the_table_of_layers_is_that_of_keras() {
    insta::assert_snapshot!(
        "inspect_sentiment_lstm",
        done(&["inspect", "models/sentiment-lstm.json"])
    );
    let nested = "tests/fixtures/topology/sequential_in_functional.keras";
    insta::assert_snapshot!("inspect_nested", done(&["inspect", nested]));
    insta::assert_snapshot!("inspect_compiled", done(&["inspect", TEXT_MODEL, "--compiled"]));
}

#[cfg(feature = "gpu")]
#[test]
fn stages_for_the_gpu_name_what_the_cpu_runs_and_why() {
    let gpu = |model: &str| done(&["inspect", model, "--compiled", "--device", "gpu"]);
    let whole = gpu("models/sentiment-lstm.json");
    assert!(whole.contains("Stage 1 (gpu)") && !whole.contains("because the GPU"), "{whole}");
    let text = gpu(TEXT_MODEL);
    assert!(text.contains("Stage 1 (host)") && text.contains("Stage 2 (gpu)"), "{text}");
    let mixed = gpu("tests/fixtures/onnx/microsoft/MatMulInteger.onnx");
    assert!(mixed.contains("(cpu)") && mixed.contains("no GPU kernel for u8"), "{mixed}");
    let document = json(&[
        "inspect",
        "models/sentiment-lstm.json",
        "--compiled",
        "--device",
        "gpu",
        "--format",
        "json",
    ]);
    assert_eq!(document["compiled"]["stages"][0]["device"], "gpu");
}

#[test]
fn sizes_that_are_fixed_cannot_be_given() {
    let error = refused(&["inspect", "models/sentiment-lstm.json", "--length", "5"]);
    assert!(error.contains("every length of this model is fixed"), "{error}");
    let shaped = done(&["inspect", "models/sentiment-lstm.json", "--batch", "7"]);
    assert!(shaped.contains("(7, 100, 64)") && !shaped.contains("None"), "{shaped}");
}
