//! `seqfuse bench`: what it prints, what it counts, what it refuses. No test asserts on time.
#![cfg(feature = "cli")]

mod common;

use common::command::{done, refused};
use serde_json::Value;

/// Embedding 16, LSTM 16 over 8 steps, Dense 1.
const LSTM: &str = "models/block-lstm.json";
/// Embedding 64, both directions of LSTM 64 over any number of steps, Dense 64, Dense 1.
const ANY_LENGTH: &str = "models/imdb-bilstm.json";

fn bench(arguments: &[&str]) -> Value {
    let printed = done(&[&["bench"], arguments, &["--seconds", "0", "--json"]].concat());
    serde_json::from_str(&printed).expect("it prints JSON")
}

fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("{name} is a whole number: {object}"))
}

#[test]
fn one_object_says_what_was_timed() {
    let object = bench(&[LSTM, "--batch", "3", "--threads", "2"]);
    assert_eq!(object["task"], "infer");
    assert_eq!(object["batch"], 3);
    assert_eq!(object["length"], 8);
    assert_eq!(object["device"], "cpu");
    assert_eq!(object["threads"], 2);
    assert!(object["runs"].as_u64().is_some_and(|runs| runs >= 7), "{object}");
    for name in ["median_ms", "min_ms", "limit_ms", "fraction_of_limit"] {
        let value = object[name].as_f64().expect("a number");
        assert!(value.is_finite() && value > 0.0, "{name}: {object}");
    }
    let machine = &object["machine"];
    assert!(machine["fma_flops"].as_f64().is_some_and(|rate| rate > 0.0), "{object}");
    for level in ["L1", "L2", "L3", "DRAM"] {
        let rate = &machine["levels"][level]["bytes_per_s"];
        assert!(rate.as_f64().is_some_and(|rate| rate > 0.0), "{level}: {object}");
    }
    let number = |name: &str| object[name].as_f64().expect("a number");
    let fraction = number("limit_ms") / number("median_ms");
    // Printed in other units than it was computed in.
    assert!((number("fraction_of_limit") / fraction - 1.0).abs() < 1e-9, "{object}");
}

#[test]
fn products_are_two_operations_for_each_multiply_add() {
    // LSTM: 8 steps, 4 gates of 16 units, each the sum of 16 + 16 products; Dense: 16 products.
    let object = bench(&[LSTM]);
    assert_eq!(number(&object, "flop"), 2 * 8 * 64 * (16 + 16) + 2 * 16);
    // 8 rows of the table, kernel, recurrent kernel and bias of the LSTM, kernel and bias of Dense.
    assert_eq!(number(&object, "weight_bytes"), 4 * (8 * 16 + 1024 + 1024 + 64 + 16 + 1));
    // The recurrent kernel is read at each of 8 steps.
    let reads = 4 * (8 * 16 + 1024 + 8 * 1024 + 64 + 16 + 1);
    assert_eq!(number(&object, "weight_read_bytes"), reads);
    // At 9 rows, in two blocks; the table has 100 rows, of which 72 are looked up.
    let object = bench(&[LSTM, "--batch", "9"]);
    assert_eq!(number(&object, "flop"), 9 * (2 * 8 * 64 * (16 + 16) + 2 * 16));
    let reads = 4 * (72 * 16 + 1024 + 2 * 8 * 1024 + 64 + 16 + 1);
    assert_eq!(number(&object, "weight_read_bytes"), reads);
}

#[test]
fn products_of_convolution_and_attention_are_counted() {
    // 116 windows of 5 × 16 numbers for each of 128 filters, then Dense 24 and 1.
    let object = bench(&["models/conv-classifier.json"]);
    let expected = 2 * 116 * 128 * 5 * 16 + 2 * 128 * 24 + 2 * 24;
    assert_eq!(number(&object, "flop"), expected);
    // Over 150 steps of 64: three projections to 128 and one back, then scores and their values.
    let object = bench(&["models/imdb-transformer.json"]);
    let projections = 4 * 150 * 64 * 128;
    let attention = 2 * 2 * 150 * 150 * 64;
    assert_eq!(number(&object, "flop"), 2 * (projections + attention + 64));
}

#[test]
fn a_step_of_training_has_the_products_of_all_its_gradients() {
    let object = bench(&[LSTM, "--train", "--batch", "4"]);
    assert_eq!(object["task"], "train");
    assert_eq!(object["batch"], 4);
    // Every product has two gradients: the table is learned, so each input needs its own too.
    assert_eq!(number(&object, "flop"), 3 * 4 * (2 * 8 * 64 * (16 + 16) + 2 * 16));
    assert!(object["runs"].as_u64().is_some_and(|runs| runs >= 7), "{object}");
    assert_eq!(bench(&[LSTM, "--train"])["batch"], 32);
}

#[test]
fn open_lengths_take_what_is_asked_for() {
    let (short, long) = (bench(&[ANY_LENGTH, "--length", "6"]), bench(&[ANY_LENGTH]));
    assert_eq!((&short["length"], &long["length"]), (&6.into(), &100.into()));
    let head = 2 * (128 * 64 + 64);
    let (short, long) = (number(&short, "flop") - head, number(&long, "flop") - head);
    assert_eq!(short * 100, long * 6);
    let said = refused(2, &["bench", LSTM, "--length", "5"]);
    assert!(said.contains("--length") && said.contains("fixed"), "{said}");
}

#[test]
fn given_arrays_set_the_sizes() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("ids.csv");
    let rows = "1,2,3,4,5,6,7,8\n8,7,6,5,4,3,2,1\n";
    std::fs::write(&path, rows).expect("the file is written");
    let object = bench(&[LSTM, "--input", path.to_str().expect("UTF-8")]);
    assert_eq!((&object["batch"], &object["length"]), (&2.into(), &8.into()));
}

#[test]
fn a_person_gets_lines_of_80_columns() {
    let printed = done(&["bench", LSTM, "--seconds", "0", "--threads", "1"]);
    for head in ["Median", "Fastest", "Products", "Weights", "Limit", "Fraction of limit", "DRAM"] {
        assert!(printed.contains(head), "{head}: {printed}");
    }
    assert!(printed.contains("1 thread\n") && printed.contains("32.8 kFLOP"), "{printed}");
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
}

#[test]
fn losses_of_every_kind_get_targets() {
    let classes = "models/encoder-classifier.json";
    assert_eq!(bench(&[classes, "--train", "--batch", "2"])["task"], "train");
    for loss in ["categorical_crossentropy", "mse"] {
        let object = bench(&[classes, "--train", "--batch", "2", "--loss", loss]);
        assert_eq!(object["task"], "train", "{loss}");
    }
    let object = bench(&[LSTM, "--train", "--batch", "2", "--optimizer", "sgd"]);
    assert_eq!(object["task"], "train");
}

#[test]
fn text_is_timed_from_the_string_on() {
    let object = bench(&["models/sentiment.keras", "--batch", "2"]);
    assert_eq!(object["batch"], 2);
    assert!(object["median_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{object}");
}

#[test]
fn peers_that_are_not_there_are_refused_by_name() {
    let said = refused(2, &["bench", LSTM, "--against", "tract"]);
    assert!(said.contains("`--against tract` is not built yet"), "{said}");
    let said = refused(2, &["bench", LSTM, "--against", "other"]);
    assert!(said.contains("`other` is not known"), "{said}");
    let said = refused(2, &["bench", LSTM, "--against", "ort"]);
    match cfg!(feature = "ort") {
        true => assert!(said.contains("times .onnx models"), "{said}"),
        false => assert!(said.contains("build it with `--features ort`"), "{said}"),
    }
    refused(2, &["bench", LSTM, "--train", "--against", "ort"]);
    refused(2, &["bench", LSTM, "--loss", "mse"]);
    refused(2, &["bench", LSTM, "--batch", "0"]);
    refused(2, &["bench", LSTM, "--seconds", "-1"]);
}
