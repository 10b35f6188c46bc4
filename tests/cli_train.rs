//! `seqfuse train` and `evaluate` as a person or a script meets them.

#![cfg(feature = "cli")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use common::command::{Place, SENTENCES, dense, done, json, refused, rows, text};

#[test]
fn documented_models_learn_their_sentences_from_raw_text() {
    for model in ["tiny-lstm", "tiny-gru", "tiny-bilstm"] {
        let place = Place::new();
        let (out, history) = (place.path("out.keras"), place.path("history.json"));
        let said = done(&[
            "train",
            &format!("models/{model}.json"),
            "--data",
            SENTENCES,
            "--epochs",
            "12",
            "--batch-size",
            "2",
            "--learning-rate",
            "0.01",
            "--validation-split",
            "0.25",
            "--output",
            &out,
            "--history",
            &history,
        ]);
        // A line an epoch in a pipe, then the table.
        let epochs = said.lines().filter(|line| line.starts_with("Epoch ")).count();
        assert_eq!(epochs, 12, "{said}");
        assert!(said.lines().all(|line| line.chars().count() <= 100), "{said}");
        let history = json(&history);
        for name in ["loss", "accuracy", "val_loss", "val_accuracy"] {
            assert_eq!(history[name].as_array().map(Vec::len), Some(12), "{history}");
        }
        assert_eq!(history["accuracy"][11], 1.0, "{model}: {history}");
        // Sentences that are not in the file, on the right side by the names of the file.
        let new = [
            ("what a great evening", "positive"),
            ("I loved the cast", "positive"),
            ("a horrible evening", "negative"),
            ("we hated the music", "negative"),
        ];
        let mut arguments = vec!["run", &out];
        new.iter().for_each(|(sentence, _)| arguments.extend(["--text", sentence]));
        let said = done(&arguments);
        for ((sentence, label), line) in new.iter().zip(said.lines()) {
            assert!(line.starts_with(sentence) && line.contains(label), "{model}: {line}");
        }
        let measured = done(&["evaluate", &out, "--data", SENTENCES, "--json"]);
        let measured: Value = serde_json::from_str(&measured).expect("is JSON");
        assert!(measured["accuracy"].as_f64().expect("a number") > 0.8, "{model}: {measured}");
    }
}

#[test]
fn names_of_classes_and_vocabularies_travel_in_every_format() {
    let place = Place::new();
    let first = place.path("first.keras");
    let train = ["train", "models/tiny-gru.json", "--data", SENTENCES, "--epochs", "8"];
    let fast = ["--learning-rate", "0.01", "--batch-size", "2", "--output", &first];
    done(&[&train[..], &fast[..]].concat());
    let ask = |model: &str| {
        done(&["run", model, "--text", "a great film", "--text", "boring", "--output", "-"])
    };
    let wanted = ask(&first);
    assert!(wanted.contains("labels/") && wanted.contains("positive"), "{wanted}");
    for format in ["h5", "safetensors", "keras"] {
        let other = place.path(&format!("other.{format}"));
        done(&["convert", &first, &other]);
        assert_eq!(ask(&other), wanted, "{format}");
    }
    // Other names take their place.
    let names = place.file("names.txt", "bad\ngood\n");
    let renamed = place.path("renamed.keras");
    done(&["convert", &first, &renamed, "--labels", &names]);
    let said = ask(&renamed);
    assert!(said.contains("\"bad\"") && !said.contains("positive"), "{said}");
    // And training goes on from the file, optimizer and names included.
    let second = place.path("second.keras");
    done(&["train", &second.replace("second", "first"), "--data", SENTENCES, "--output", &second]);
    assert!(ask(&second).contains("negative"));
}

#[test]
fn columns_of_numbers_train_a_model_of_numbers() {
    let place = Place::new();
    let model = dense(&place, 3);
    let csv = place.file(
        "data.csv",
        &("a,b,c,label\n".to_owned()
            + &rows(60, |i| {
                let class = i % 3;
                let hot = |at: usize| if class == at { "1.5" } else { "0" };
                format!("{},{},{},{}", hot(0), hot(1), hot(2), ["z", "x", "y"][class])
            })),
    );
    let out = place.path("out.safetensors");
    let said = done(&[
        "train",
        &model,
        "--data",
        &csv,
        "--epochs",
        "60",
        "--learning-rate",
        "0.1",
        "--output",
        &out,
        "--no-shuffle",
    ]);
    assert!(said.contains("Saved"), "{said}");
    let jsonl = place.file("new.jsonl", "{\"x\": [1.5, 0, 0]}\n{\"x\": [0, 0, 1.5]}\n");
    let said = done(&["run", &out, "--input", &jsonl, "--output", "-"]);
    // Names are sorted: x, y, z.
    assert!(said.contains("[\"z\", \"y\"]"), "{said}");
    // One-hot targets are made for the losses that want them.
    let said = done(&[
        "evaluate",
        &out,
        "--data",
        &csv,
        "--loss",
        "categorical_crossentropy",
        "--metrics",
        "categorical_accuracy",
        "--json",
    ]);
    let measured: Value = serde_json::from_str(&said).expect("is JSON");
    assert_eq!(measured["categorical_accuracy"], 1.0, "{measured}");
}

#[test]
fn the_same_seed_gives_the_same_model_and_another_does_not() {
    let place = Place::new();
    let train = |name: &str, seed: &str, threads: &str| {
        let out = place.path(name);
        done(&[
            "train",
            "models/tiny-lstm.json",
            "--data",
            SENTENCES,
            "--seed",
            seed,
            "--threads",
            threads,
            "--output",
            &out,
        ]);
        std::fs::read(out).expect("is written")
    };
    let first = train("a.safetensors", "1", "1");
    assert_eq!(first, train("b.safetensors", "1", "2"));
    assert_ne!(first, train("c.safetensors", "2", "1"));
}

#[test]
fn settings_come_from_a_file_and_flags_go_before_them() {
    let place = Place::new();
    let model = dense(&place, 2);
    let csv = "x[0],x[1],x[2],label\n".to_owned() + &rows(20, |i| format!("{i},1,2,{}", i % 2));
    let csv = place.file("data.csv", &csv);
    let config = place.file(
        "config.json",
        r#"{"optimizer": {"class_name": "SGD", "config": {"learning_rate": 0.5}},
            "loss": "mse", "metrics": ["mae"],
            "callbacks": [{"class_name": "EarlyStopping",
                           "config": {"monitor": "loss", "patience": 1, "min_delta": 1e9}}]}"#,
    );
    let (history, plot) = (place.path("h.json"), place.path("p.svg"));
    let said = done(&[
        "train",
        &model,
        "--data",
        &csv,
        "--config",
        &config,
        "--metrics",
        "mse",
        "--epochs",
        "9",
        "--learning-rate",
        "0.001",
        "--history",
        &history,
        "--plot",
        &plot,
        "--output",
        &place.path("out.h5"),
    ]);
    assert!(said.contains("Stopped after 2 of 9 epochs."), "{said}");
    let history = json(&history);
    assert!(history.get("mse").is_some() && history.get("mae").is_none(), "{history}");
    let svg = std::fs::read_to_string(plot).expect("is drawn");
    assert!(svg.starts_with("<svg") && svg.contains(">mse<"), "{svg}");
    let flags = ["train", &model, "--data", &csv, "--epochs", "50", "--early-stopping", "1"];
    let output = place.path("late.keras");
    let said = done(&[&flags[..], &["--learning-rate", "0", "--output", &output]].concat());
    assert!(said.contains("Stopped after 2 of 50 epochs."), "{said}");
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_model() {
    let place = Place::new();
    let (folder, one, two) = (place.path("points"), place.path("1.keras"), place.path("2.keras"));
    let train = ["train", "models/tiny-gru.json", "--data", SENTENCES, "--batch-size", "4"];
    done(&[&train[..], &["--epochs", "4", "--output", &one]].concat());
    let kept = ["--checkpoint", &folder, "--output", &two];
    done(&[&train[..], &kept[..], &["--epochs", "2"]].concat());
    done(&[&train[..], &kept[..], &["--epochs", "4", "--resume"]].concat());
    assert_eq!(std::fs::read(one).expect("is there"), std::fs::read(two).expect("is there"));
    let said = refused(2, &[&train[..], &["--resume"]].concat());
    assert!(said.contains("--checkpoint"), "{said}");
}

#[test]
fn bad_data_are_named_by_line_or_array() {
    let place = Place::new();
    let lstm = "models/tiny-lstm.json";
    let two = dense(&place, 2);
    let out = place.path("out.keras");
    for (name, content, said) in [
        ("a.csv", "text,label\ngood,1\nbad,\n", "line 3, column `label`"),
        ("b.csv", "text,label\ngood,1\nbad,nan\n", "line 3, column `label`"),
        ("c.csv", "text,label\ngood,1\n,0\n", "line 3, column `text`"),
        ("d.csv", "text,label\ngood,1\nbad\n", "line 3: 1 cells"),
        ("e.csv", "text,label\n\"good,1\nbad,0\n", "line 2: a quoted cell"),
        ("f.csv", "good film,1\nbad film,0\n", "first row must name the columns"),
        ("g.csv", "a,b,c\n1,2,3\n", "--label-column"),
        ("q.csv", "a,b,label\nx,y,1\n", "--text-column"),
        ("h.csv", "text,label\n", "no rows"),
        ("i.csv", "text,label\nx,a\ny,b\nz,c\n", "tells 2 classes apart, and the labels name 3"),
        ("j.csv", "text,label\nx,0\ny,2\n", "line 3, column `label`: 2"),
        ("k.csv", "text,label\nx,0\ny,pos\n", "line 3, column `label`: \"pos\""),
        ("l.csv", "text,text\nx,0\n", "two columns are named `text`"),
        ("a.jsonl", "{\"text\": \"x\", \"label\": 0}\n{\"text\": 7, \"label\": 1}\n", "line 2"),
        ("b.jsonl", "{\"text\": \"x\", \"label\": 0}\n{\"text\": \"y\"}\n", "no key `label`"),
        ("c.jsonl", "{\"text\": \"x\", \"label\": 0}\n{", "line 2: not valid JSON"),
        ("a.npz", "no zip", "a.npz"),
        ("a.txt", "", ".npz, .csv, .tsv or .jsonl"),
    ] {
        let data = place.file(name, content);
        let error = refused(1, &["train", lstm, "--data", &data, "--output", &out]);
        assert!(error.starts_with("error: ") && error.contains(name), "{name}: {error}");
        assert!(error.contains(said), "{name}: {error}");
    }
    for (name, content, said) in [
        ("m.csv", "a,b,label\n1,2,0\n", "2 values for input `x`"),
        ("n.csv", "a,b,c,label\n1,2,inf,0\n", "line 2, column `c`"),
        ("o.csv", "a,b,c,label\n1,2,word,0\n", "\"word\""),
    ] {
        let data = place.file(name, content);
        let error = refused(1, &["train", &two, "--data", &data, "--output", &out]);
        assert!(error.contains(said), "{name}: {error}");
    }
    let classes = dense(&place, 3);
    let data = place.file("p.csv", "a,b,c,label\n1,2,3,0\n1,2,3,3\n");
    let error = refused(1, &["train", &classes, "--data", &data, "--output", &out]);
    assert!(error.contains("line 3, column `label`") && error.contains("0 to 2"), "{error}");
    assert!(!Path::new(&out).exists());
}

#[test]
fn arrays_are_found_by_name_and_refused_by_name() {
    use seqfuse::{Tensor, Tensors, formats::npz::write_npz};
    let place = Place::new();
    let model = dense(&place, 3);
    let x = |rows: usize| {
        let values = (0..rows * 3).map(|i| (i % 5) as f32).collect::<Vec<f32>>();
        Tensor::new([rows, 3], values).expect("a matrix")
    };
    let y = |labels: Vec<i64>| Tensor::from_labels(labels);
    let save = |name: &str, arrays: Tensors| {
        let path = place.path(name);
        std::fs::write(&path, write_npz(&arrays).expect("is written")).expect("is written");
        path
    };
    let good = Tensors::new().with("x", x(4)).with("y", y(vec![0, 1, 2, 1]));
    let all = good
        .clone()
        .with("x_val", x(2))
        .with("y_val", y(vec![0, 2]))
        .with("sample_weight", Tensor::new([4], vec![1.0f32, 0.5, 2.0, 1.0]).expect("a vector"));
    let out = place.path("out.keras");
    let train = |data: &str| ["train", &model, "--data", data, "--output", &out].map(str::to_owned);
    let history = place.path("h.json");
    let data = save("all.npz", all);
    let mut arguments = train(&data).to_vec();
    arguments.extend(["--history".to_owned(), history.clone()]);
    done(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(json(&history).get("val_loss").is_some());
    std::fs::remove_file(&out).expect("was written");
    for (name, arrays, said) in [
        ("label.npz", good.clone().with("y", y(vec![0, 1, 2, 3])), "the label at row 3 is 3"),
        ("minus.npz", good.clone().with("y", y(vec![0, 1, -2, 1])), "the label at row 2 is -2"),
        ("rows.npz", good.clone().with("y", y(vec![0, 1])), "4 rows"),
        ("extra.npz", good.clone().with("z", x(4)), "`z`"),
        ("none.npz", Tensors::new().with("x", x(4)), "`y`"),
        ("nan.npz", good.clone().with("x", nan()), "row 1 is NaN"),
    ] {
        let data = save(name, arrays);
        let arguments = train(&data);
        let error = refused(1, &arguments.each_ref().map(String::as_str));
        assert!(error.contains(said) && error.contains(name), "{name}: {error}");
    }
    assert!(!Path::new(&out).exists());
}

fn nan() -> seqfuse::Tensor {
    let mut values = vec![0.0f32; 12];
    values[4] = f32::NAN;
    seqfuse::Tensor::new([4, 3], values).expect("a matrix")
}

trait FromLabels {
    fn from_labels(labels: Vec<i64>) -> Self;
}

impl FromLabels for seqfuse::Tensor {
    fn from_labels(labels: Vec<i64>) -> Self {
        seqfuse::Tensor::new([labels.len()], labels).expect("a vector")
    }
}

#[test]
fn settings_that_are_not_known_are_refused_by_name() {
    let place = Place::new();
    let out = place.path("out.keras");
    let train = ["train", "models/tiny-lstm.json", "--data", SENTENCES, "--output", &out];
    for (flags, exit, said) in [
        (vec!["--optimizer", "adagradd"], 2, "adagradd"),
        (vec!["--loss", "binary_entropy"], 2, "binary_entropy"),
        (vec!["--metrics", "accuracy,aucc"], 2, "aucc"),
        (vec!["--learning-rate", "-1"], 2, "--learning-rate"),
        (vec!["--validation-split", "1.5"], 2, "--validation-split"),
        (vec!["--epochs", "0"], 2, "--epochs"),
        (vec!["--batch-size", "0"], 2, "--batch-size"),
        (vec!["--class-weight", "5"], 2, "--class-weight"),
        (vec!["--class-weight", "other=2"], 2, "other"),
        (vec!["--device", "gpu"], 2, "--device gpu"),
        (vec!["--text-column", "sentence"], 1, "`sentence`"),
        (vec!["--validation-data", "missing.csv"], 1, "missing.csv"),
        (vec!["--config", "models/attention.json"], 1, "class_name"),
    ] {
        let error = refused(exit, &[&train[..], &flags[..]].concat());
        assert!(error.contains(said), "{flags:?}: {error}");
    }
    assert!(place.names().is_empty(), "{:?}", place.names());
    for output in ["out.json", "out.onnx", "out.pt"] {
        let output = place.path(output);
        refused(2, &["train", "models/tiny-lstm.json", "--data", SENTENCES, "--output", &output]);
    }
    let bare = place.file(
        "bare.json",
        r#"{"class_name": "Sequential", "config": {"layers": [
            {"class_name": "InputLayer", "config": {"batch_shape": [null, 1]}},
            {"class_name": "Dense", "config": {"units": 1}}]}}"#,
    );
    let data = place.file("data.csv", "a,label\n1,2.5\n2,3.5\n");
    let error = refused(1, &["train", &bare, "--data", &data, "--output", &out]);
    assert!(error.contains("--optimizer"), "{error}");
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let place = Place::new();
    let train = ["train", "models/tiny-lstm.json", "--data", SENTENCES];
    let missing = place.path("missing/out.keras");
    let error = refused(1, &[&train[..], &["--output", &missing]].concat());
    assert!(error.contains("cannot be written"), "{error}");
    // A loss that grows without bound leaves what was there.
    let old = place.file("old.keras", "old");
    let blow = ["--optimizer", "sgd", "--loss", "mse", "--learning-rate", "1e30", "--epochs", "9"];
    let model = dense(&place, 2);
    let csv = "a,b,c,label\n".to_owned() + &rows(20, |i| format!("{i},1,2,{i}"));
    let csv = place.file("data.csv", &csv);
    let linear = std::fs::read_to_string(&model).expect("is there").replace("sigmoid", "linear");
    std::fs::write(&model, linear).expect("is written");
    let blown = ["train", &model, "--data", &csv, "--output", &old];
    let error = refused(1, &[&blown[..], &blow[..]].concat());
    assert!(error.contains("the loss became"), "{error}");
    assert_eq!(std::fs::read_to_string(&old).expect("is there"), "old");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_what_was_there() {
    let place = Place::new();
    let old: PathBuf = place.file("old.keras", "old").into();
    let script = format!(
        "ulimit -f 8; exec {} train models/tiny-lstm.json --data {SENTENCES} --output {}",
        env!("CARGO_BIN_EXE_seqfuse"),
        old.display()
    );
    let mut command = Command::new("bash");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-c", &script]);
    let output = command.output().expect("bash starts");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot be written"), "{said}");
    assert_eq!(std::fs::read_to_string(&old).expect("is there"), "old");
    assert_eq!(place.names(), ["old.keras"]);
    let full = ["train", "models/tiny-lstm.json", "--data", SENTENCES, "--history", "/dev/full"];
    let error = refused(1, &[&full[..], &["--output", &place.path("x.keras")]].concat());
    assert!(error.contains("/dev/full"), "{error}");
}
