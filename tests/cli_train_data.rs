//! What `seqfuse train` makes of data files: bad values are named by their place in the file, columns
//! and arrays go where their names say, names of classes stay with their output.

#![cfg(feature = "cli")]

mod common;

use std::path::Path;

use seqfuse::Tensors;
use serde_json::Value;

use common::command::{
    Place, TWO_OUTPUTS, arrays, dense, done, floats, integers, json, lookup, refused, rows, text,
};

/// What training on a file is refused with.
fn refusal(place: &Place, model: &str, data: &str, flags: &[&str]) -> String {
    let out = place.path("refused.keras");
    let said =
        refused(1, &[&["train", model, "--data", data, "--output", &out][..], flags].concat());
    assert!(said.contains(data), "no file in: {said}");
    assert!(!Path::new(&out).exists());
    said
}

#[test]
fn bad_values_of_rows_are_named_by_line_and_column() {
    let place = Place::new();
    let (numbers, ids) = (dense(&place, 2), lookup(&place));
    let lstm = "models/tiny-lstm.json";
    for (name, model, content, said) in [
        ("class.csv", lstm, "text,label\na,1\nb,0\nc,2\n", "line 4, column `label`: 2, expected 0"),
        ("half.csv", lstm, "text,label\na,1\nb,-0.5\n", "line 3, column `label`: -0.5"),
        ("large.csv", lstm, "text,label\na,1\nb,1e300\n", "line 3, column `label`: \"1e300\""),
        ("crlf.csv", lstm, "text,label\r\na,x\r\nb,y\r\nc,\r\n", "line 4, column `label`"),
        ("empty.csv", lstm, "text,label\n\na,1\n\n\nb,7\n", "line 6, column `label`: 7"),
        ("huge.csv", &numbers, "a,b,c,label\n1,2,3,0\n1,1e39,3,1\n", "line 3, column `b`"),
        ("id.csv", &ids, "ids[0],ids[1],label\n1,2,0\n3,10,1\n", "line 3, column `ids[1]`: \"10\""),
        ("minus.csv", &ids, "ids[0],ids[1],label\n-1,2,0\n", "from 0 to 9"),
        ("part.csv", &ids, "ids[0],ids[1],label\n1,2,0\n1,2.5,0\n", "line 3, column `ids[1]`"),
        (
            "id.jsonl",
            &ids,
            "{\"ids\": [1, 2], \"label\": 0}\n{\"ids\": [1, 11], \"label\": 0}\n",
            "line 2, column `ids`: [1,11]",
        ),
        ("cut.jsonl", &ids, "{\"ids\": [1, 2], \"label\": 0}\n{\"ids\": [1\n", "line 2: not valid"),
    ] {
        let data = place.file(name, content);
        let error = refusal(&place, model, &data, &[]);
        assert!(error.contains(said), "{name}: {error}");
        // One line is named, and no other.
        assert_eq!(error.matches("line ").count(), 1, "{name}: {error}");
    }
    let bytes = place.path("latin.csv");
    std::fs::write(&bytes, b"text,label\nfine,1\nna\xefve,0\n").expect("is written");
    let error = refusal(&place, lstm, &bytes, &[]);
    assert!(error.contains("line 3: byte 20"), "{error}");
}

#[test]
fn labels_are_checked_however_the_loss_is_spelled() {
    let place = Place::new();
    let data = place.file("data.csv", "text,label\na,1\nb,0\nc,2\n");
    for loss in [
        "bce",
        "BinaryCrossentropy",
        "[\"bce\"]",
        r#"{"class_name": "function", "config": "binary_crossentropy"}"#,
    ] {
        let error = refusal(&place, "models/tiny-lstm.json", &data, &["--loss", loss]);
        assert!(error.contains("line 4, column `label`"), "{loss}: {error}");
    }
    let ids = lookup(&place);
    let rows = Tensors::new().with("x", integers(&[3, 2], &[1, 2, 3, 4, 5, 6]));
    let sparse = r#"{"class_name": "function", "config": "sparse_categorical_crossentropy"}"#;
    let data = arrays(&place, "sparse.npz", rows.clone().with("y", integers(&[3], &[0, 3, 1])));
    let error = refusal(&place, &ids, &data, &["--loss", sparse]);
    assert!(error.contains("array `y`: the label at row 1 is 3"), "{error}");
    // Numbers for each class are probabilities, whether one or several of them may be high.
    let data = arrays(&place, "multi.npz", rows.with("y", floats(&[3, 3], |i| i as f32 - 2.0)));
    for loss in ["bce", "kld", "categorical_crossentropy"] {
        let error = refusal(&place, &ids, &data, &["--loss", loss]);
        assert!(error.contains("array `y`: the label at row 0 is -2"), "{loss}: {error}");
    }
    // Classes by number become numbers for each class under any name of the loss.
    let csv = place.file("ids.csv", "ids[0],ids[1],label\n1,2,0\n3,4,2\n");
    for loss in ["kld", "KLDivergence", "categorical_crossentropy"] {
        done(&["train", &ids, "--data", &csv, "--loss", loss, "--output", &place.path("o.keras")]);
    }
    // A label that the loss passes over is none that is missing among the classes.
    let ignoring =
        r#"{"class_name": "SparseCategoricalCrossentropy", "config": {"ignore_class": 7}}"#;
    let seven = Tensors::new().with("x", integers(&[2, 2], &[1, 2, 3, 4]));
    let seven = arrays(&place, "seven.npz", seven.with("y", integers(&[2], &[7, 1])));
    done(&[
        "train",
        &ids,
        "--data",
        &seven,
        "--loss",
        ignoring,
        "--output",
        &place.path("o.keras"),
    ]);
}

#[test]
fn columns_that_no_name_tells_are_not_guessed() {
    let place = Place::new();
    let lstm = "models/tiny-lstm.json";
    for (name, content) in [
        ("bare.csv", "good film,pos\nbad film,neg\nfine,pos\n"),
        ("swapped.csv", "sentiment,review\n1,good film\n0,bad film\n"),
    ] {
        let data = place.file(name, content);
        let error = refusal(&place, lstm, &data, &[]);
        for word in ["--text-column", "--label-column", "text,label"] {
            assert!(error.contains(word), "{name}: {error}");
        }
    }
    // One name is enough to tell both.
    let out = place.path("out.keras");
    let swapped = place.path("swapped.csv");
    for flags in [["--text-column", "review"], ["--label-column", "sentiment"]] {
        let train = ["train", lstm, "--data", &swapped, "--output", &out];
        done(&[&train[..], &flags].concat());
        let said = done(&["run", &out, "--text", "good", "--output", "-"]);
        assert!(!said.contains("labels/"), "classes are 0 and 1: {said}");
    }
    for content in ["label,review\n1,good film\n0,bad film\n", "text,mood\na,1\nb,0\n"] {
        let data = place.file("named.csv", content);
        done(&["train", lstm, "--data", &data, "--output", &out]);
    }
}

#[test]
fn numbered_columns_go_by_their_numbers() {
    let place = Place::new();
    let model = dense(&place, 3);
    let value = |row: usize, at: usize| ((row * 7 + at * 3) % 5) as f32;
    let csv = |name: &str, order: [usize; 3], label: bool| {
        let head: Vec<String> = order.iter().map(|at| format!("x[{at}]")).collect();
        let line = |row: usize| {
            let cells: Vec<String> = order.iter().map(|&at| value(row, at).to_string()).collect();
            cells.join(",") + &if label { format!(",{}", row % 3) } else { String::new() }
        };
        let head = head.join(",") + if label { ",label\n" } else { "\n" };
        place.file(name, &(head + &rows(9, line)))
    };
    let (straight, turned) = (csv("a.csv", [0, 1, 2], true), csv("b.csv", [2, 0, 1], true));
    let trained = |data: &str| {
        let out = place.path("out.safetensors");
        done(&["train", &model, "--data", data, "--output", &out]);
        std::fs::read(&out).expect("is written")
    };
    assert_eq!(trained(&straight), trained(&turned));
    let out = place.path("out.safetensors");
    let measured = |data: &str| done(&["evaluate", &out, "--data", data, "--json"]);
    assert_eq!(measured(&straight), measured(&turned));
    let ran = |data: &str| done(&["run", &out, "--input", data, "--output", "-"]);
    assert_eq!(ran(&csv("c.csv", [0, 1, 2], false)), ran(&csv("d.csv", [1, 2, 0], false)));
    for (head, said) in [
        ("x[0],x[1],x[3]", "no column `x[2]`"),
        ("x[1],x[2],x[3]", "no column `x[0]`"),
        ("x[0],x[1],x", "column `x`"),
        ("x[0],x[1],x[01]", "`x[1]`"),
    ] {
        let data = place.file("bad.csv", &format!("{head},label\n1,2,3,0\n"));
        let error = refusal(&place, &model, &data, &[]);
        assert!(error.contains(said), "{head}: {error}");
        let data = place.file("bad.csv", &format!("{head}\n1,2,3\n"));
        let error = refused(1, &["run", &out, "--input", &data]);
        assert!(error.contains(said), "{head}: {error}");
    }
}

#[test]
fn bad_values_of_arrays_are_named_by_array_and_row() {
    let place = Place::new();
    let ids = lookup(&place);
    let y = integers(&[4], &[0, 1, 2, 0]);
    let good = Tensors::new().with("y", y.clone());
    let mut wrong = vec![0i64, 1, 2, 3, 4, 5, 6, 10];
    for (name, x, said) in [
        ("id.npz", integers(&[4, 2], &wrong), "array `x`: the value at row 3 is 10"),
        ("shape.npz", integers(&[4, 3], &[1; 12]), "array `x`: shape [4, 3]"),
        ("half.npz", floats(&[4, 2], |i| if i == 5 { 1.5 } else { 1.0 }), "row 2 is 1.5"),
        ("float.npz", floats(&[4, 2], |i| 3.0 + i as f32), "row 3 is 10"),
    ] {
        let data = arrays(&place, name, good.clone().with("x", x));
        let error = refusal(&place, &ids, &data, &[]);
        assert!(error.contains(said), "{name}: {error}");
    }
    // Whole numbers are ids in any type.
    wrong[7] = 9;
    let out = place.path("out.safetensors");
    let trained = |name: &str, x| {
        let data = arrays(&place, name, good.clone().with("x", x));
        done(&["train", &ids, "--data", &data, "--output", &out]);
        std::fs::read(&out).expect("is written")
    };
    let by_floats = floats(&[4, 2], |i| wrong[i] as f32);
    assert_eq!(trained("floats.npz", by_floats), trained("ints.npz", integers(&[4, 2], &wrong)));
    // What is validated on is looked at before training as well.
    let held = good.with("x", integers(&[4, 2], &[1; 8]));
    let held = held.with("x_val", integers(&[1, 2], &[1, 12])).with("y_val", integers(&[1], &[0]));
    let data = arrays(&place, "held.npz", held);
    let error = refusal(&place, &ids, &data, &[]);
    assert!(error.contains("array `x_val`: the value at row 0 is 12"), "{error}");
}

#[test]
fn ids_that_a_layer_makes_are_named_by_row_too() {
    // Ids below 10 become ids below 20, of which the table knows 12.
    let place = Place::new();
    let model = place.file(
        "made.json",
        r#"{"class_name": "Sequential", "config": {"layers": [
            {"class_name": "InputLayer",
             "config": {"batch_shape": [null, 3], "dtype": "float32", "name": "x"}},
            {"class_name": "Rescaling", "config": {"scale": 2.0}},
            {"class_name": "Embedding", "config": {"input_dim": 12, "output_dim": 3}},
            {"class_name": "Flatten", "config": {}},
            {"class_name": "Dense", "config": {"units": 1}}]},
            "compile_config": {"optimizer": "sgd", "loss": "mse"}}"#,
    );
    let line = |row: usize| format!("1,2,{},0.5", if row == 37 { 9 } else { 3 });
    let data = place.file("data.csv", &("a,b,c,label\n".to_owned() + &rows(60, line)));
    let error = refusal(&place, &model, &data, &["--batch-size", "8"]);
    assert!(error.contains("line 39") && error.contains("token id 18"), "{error}");
}

#[test]
fn sample_weights_of_single_outputs_are_found_by_name() {
    let place = Place::new();
    let rows = 8;
    let data = Tensors::new()
        .with("x", floats(&[rows, 4], |i| (i % 5) as f32 - 2.0))
        .with("number", floats(&[rows, 1], |i| i as f32 / 4.0))
        .with("label", integers(&[rows], &[0, 1, 2, 0, 1, 2, 0, 1]));
    let losses = |name: &str, arrays_: Tensors| -> Value {
        let history = place.path("h.json");
        let data = arrays(&place, name, arrays_);
        let out = place.path("out.keras");
        done(&[
            "train",
            TWO_OUTPUTS,
            "--data",
            &data,
            "--output",
            &out,
            "--history",
            &history,
            "--no-shuffle",
        ]);
        json(&history)
    };
    let plain = losses("plain.npz", data.clone());
    let none = data.clone().with("sample_weight_number", floats(&[rows], |_| 0.0));
    let weighed = losses("weighed.npz", none);
    assert_eq!(weighed["number_loss"][0], 0.0, "{weighed}");
    assert_eq!(weighed["label_loss"], plain["label_loss"]);
    let both = data.with("sample_weight_label", floats(&[rows], |_| 1.0));
    let both = both.with("sample_weight", floats(&[rows], |_| 1.0));
    let both = arrays(&place, "both.npz", both);
    let error = refusal(&place, TWO_OUTPUTS, &both, &[]);
    assert!(error.contains("give one kind"), "{error}");
    // The same in columns.
    let head = "x[0],x[1],x[2],x[3],number,label,sample_weight_number\n";
    let csv = place.file("w.csv", &(head.to_owned() + "1,2,3,4,5,0,0\n4,3,2,1,0,1,0\n"));
    let history = place.path("h.json");
    let train = ["train", TWO_OUTPUTS, "--data", &csv, "--history", &history];
    done(&[&train[..], &["--output", &place.path("out.keras")]].concat());
    assert_eq!(json(&history)["number_loss"][0], 0.0);
}

#[test]
fn names_of_classes_belong_to_their_output() {
    let place = Place::new();
    let head = "x[0],x[1],x[2],x[3],number,label\n";
    let line = |row: usize| {
        format!("{row},1,2,{},{},{}", row % 2, ["no", "yes"][row % 2], ["u", "v", "w"][row % 3])
    };
    let csv = place.file("two.csv", &(head.to_owned() + &rows(6, line)));
    let loss = r#"["binary_crossentropy", "sparse_categorical_crossentropy"]"#;
    let (first, second) = (place.path("first.keras"), place.path("second.keras"));
    done(&["train", TWO_OUTPUTS, "--data", &csv, "--loss", loss, "--output", &first]);
    // They stay in the file, for training and measuring on, and for what is run.
    done(&["train", &first, "--data", &csv, "--output", &second]);
    done(&["evaluate", &second, "--data", &csv]);
    let inputs = place.file("in.csv", "x[0],x[1],x[2],x[3]\n1,1,2,1\n");
    let ran = |model: &str| done(&["run", model, "--input", &inputs, "--output", "-"]);
    let ran_second = ran(&second);
    let said: Value = serde_json::from_str(&ran_second).expect("is JSON");
    assert!(["no", "yes"].contains(&said["labels/number"][0].as_str().expect("a name")), "{said}");
    assert!(["u", "v", "w"].contains(&said["labels/label"][0].as_str().expect("a name")), "{said}");
    for format in ["h5", "safetensors"] {
        let other = place.path(&format!("other.{format}"));
        done(&["convert", &second, &other]);
        assert_eq!(ran(&other), ran_second, "{format}");
    }
    // A file may give them by output too; one list is for the outputs that it fits.
    let names = place.file("names.json", r#"{"label": ["a", "b", "c"]}"#);
    let said = done(&["run", &second, "--input", &inputs, "--output", "-", "--labels", &names]);
    assert!(said.contains("labels/label") && !said.contains("labels/number"), "{said}");
    let names = place.file("names.txt", "off\non\n");
    let said = done(&["run", &second, "--input", &inputs, "--output", "-", "--labels", &names]);
    assert!(said.contains("labels/number") && !said.contains("labels/label"), "{said}");
    for (content, word) in [("u\n\nw\n", "name 2"), ("u\nu\nw\n", "twice")] {
        let names = place.file("names.txt", content);
        let error = refused(1, &["run", &second, "--input", &inputs, "--labels", &names]);
        assert!(error.contains(word) && error.contains("names.txt"), "{error}");
    }
}

#[test]
fn a_file_to_train_on_can_be_run_on() {
    let place = Place::new();
    let ids = lookup(&place);
    let x = integers(&[3, 2], &[1, 2, 3, 4, 5, 6]);
    let alone = arrays(&place, "x.npz", Tensors::new().with("ids", x.clone()));
    let expected = done(&["run", &ids, "--input", &alone, "--output", "-"]);
    let training = Tensors::new().with("x", x.clone()).with("y", integers(&[3], &[0, 1, 2]));
    let training = training.with("sample_weight", floats(&[3], |_| 1.0)).with("x_val", x.clone());
    let data = arrays(&place, "train.npz", training.clone());
    assert_eq!(done(&["run", &ids, "--input", &data, "--output", "-"]), expected);
    for (name, arrays_) in [
        ("other.npz", training.with("z", x.clone())),
        ("named.npz", Tensors::new().with("ids", x.clone()).with("y", x.clone())),
        ("none.npz", Tensors::new().with("a", x.clone()).with("y", x)),
    ] {
        let data = arrays(&place, name, arrays_);
        let error = refused(1, &["run", &ids, "--input", &data]);
        assert!(error.contains("`ids`"), "{name}: {error}");
    }
}

#[test]
fn a_label_stands_beside_its_own_probability() {
    let place = Place::new();
    let out = place.path("out.keras");
    let lstm = ["train", "models/tiny-lstm.json", "--data", "models/samples/sentences.csv"];
    let fast = ["--epochs", "12", "--learning-rate", "0.01", "--batch-size", "2"];
    done(&[&lstm[..], &fast[..], &["--output", &out]].concat());
    for (sentence, label) in
        [("what a great evening", "positive"), ("a horrible evening", "negative")]
    {
        let said = done(&["run", &out, "--text", sentence]);
        let mut words = said.split_whitespace().rev();
        let probability: f64 = words.next().expect("a word").parse().expect("a number");
        assert_eq!(words.next(), Some(label), "{said}");
        assert!((0.5..=1.0).contains(&probability), "{said}");
    }
}

#[test]
fn class_weights_are_of_classes_that_there_are() {
    let place = Place::new();
    let out = place.path("out.keras");
    let data = "models/samples/sentences.csv";
    let lstm = ["train", "models/tiny-lstm.json", "--data", data, "--output", &out];
    for weights in ["7=2", "2=1.5", "-1=2", "positive=2,5=1"] {
        let said = refused(2, &[&lstm[..], &["--class-weight", weights]].concat());
        assert!(said.contains("--class-weight"), "{weights}: {said}");
    }
    done(&[&lstm[..], &["--class-weight", "1=2,negative=0.5"]].concat());
    assert!(text(&std::fs::read(data).expect("is there")).contains("positive"));
}
