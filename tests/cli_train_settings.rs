//! What `seqfuse train` is told: wrong values are refused before anything is trained, by the flag or
//! file that they stand in, and what is right does what it says.

#![cfg(feature = "cli")]

mod common;

use std::process::Command;

use serde_json::Value;

use common::command::{
    Place, SENTENCES, TWO_OUTPUTS, dense, done, json, lookup, refused, rows, text,
};

fn lstm(out: &str) -> Vec<&str> {
    vec!["train", "models/tiny-lstm.json", "--data", SENTENCES, "--output", out]
}

#[test]
fn values_of_flags_that_are_wrong_are_wrong_usage() {
    let place = Place::new();
    let out = place.path("out.keras");
    for (flags, said) in [
        (["--validation-split", "-0.2"], "--validation-split"),
        (["--validation-split", "1.5"], "between 0 and 1"),
        (["--validation-split", "0"], "--validation-split"),
        (["--seed", "-1"], "--seed"),
        (["--epochs", "-3"], "--epochs"),
        (["--batch-size", "-1"], "--batch-size"),
        (["--early-stopping", "-1"], "--early-stopping"),
        (["--learning-rate", "-1"], "--learning-rate"),
        (["--loss", "bcee"], "--loss bcee: loss of output"),
        (["--loss", "{\"class_name\": \"Huber\", \"config\": {\"delta\": \"x\"}}"], "delta"),
        (["--optimizer", "adan"], "--optimizer adan: "),
        (["--metrics", "accuracy,aucc"], "--metrics accuracy,aucc: "),
        (["--loss", "{\"other\": \"mse\"}"], "--loss"),
    ] {
        let error = refused(2, &[&lstm(&out)[..], &flags].concat());
        assert!(error.contains(said) && !error.contains("use '-- "), "{flags:?}: {error}");
    }
    let error =
        refused(2, &["evaluate", "models/tiny-lstm.json", "--data", SENTENCES, "--metrics", "x"]);
    assert!(error.contains("--metrics x: "), "{error}");
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn settings_of_a_file_are_refused_by_its_name() {
    let place = Place::new();
    let out = place.path("out.keras");
    for (content, said) in [
        (r#"{"loss": 5}"#, "a name such as \"mse\""),
        (r#"{"optimizer": {"class_name": "SGD", "config": {"momentum": "0.9"}}}"#, "momentum"),
        (r#"{"metrics": ["aucc"]}"#, "aucc"),
        (r#"{"batch_size": 5}"#, "batch_size"),
        (r#"{"callbacks": [{"class_name": "EarlyStopped"}]}"#, "EarlyStopped"),
    ] {
        let config = place.file("settings.json", content);
        let error = refused(1, &[&lstm(&out)[..], &["--config", &config]].concat());
        assert!(error.contains(said) && error.contains(&config), "{content}: {error}");
    }
    // What a flag replaces need not be right.
    let config = place.file("settings.json", r#"{"loss": 5}"#);
    done(&[&lstm(&out)[..], &["--config", &config, "--loss", "bce"]].concat());
}

#[test]
fn a_schedule_takes_the_place_of_a_rate_and_goes_on() {
    let place = Place::new();
    let (first, rate, schedule, back) =
        (place.path("first.keras"), place.path("a.h5"), place.path("b.h5"), place.path("c.h5"));
    done(&[&lstm(&first)[..], &["--learning-rate", "0.01", "--epochs", "2"]].concat());
    let on = |model: &str, given: &str, out: &str, history: &str| {
        let history = place.path(history);
        done(&[
            "train",
            model,
            "--data",
            SENTENCES,
            "--learning-rate",
            given,
            "--output",
            out,
            "--history",
            &history,
            "--no-shuffle",
            "--epochs",
            "2",
        ]);
        json(&history)
    };
    // A schedule that gives the same rate all the time gives the same epochs: slots and steps are
    // those of the file.
    let steady = r#"{"class_name": "PiecewiseConstantDecay",
                     "config": {"boundaries": [3], "values": [0.02, 0.02]}}"#;
    let by_rate = on(&first, "0.02", &rate, "a.json");
    let by_schedule = on(&first, steady, &schedule, "b.json");
    assert_eq!(by_rate, by_schedule);
    // And back from the schedule to a number.
    let more = on(&rate, "0.005", &back, "c.json");
    assert_eq!(on(&schedule, "0.005", &back, "d.json"), more);
    assert_ne!(on(&rate, "0.01", &back, "e.json"), more);
}

#[test]
fn callbacks_are_checked_before_the_first_epoch() {
    let place = Place::new();
    let out = place.path("out.keras");
    let callback = |class: &str, config: &str| {
        format!(r#"{{"callbacks": [{{"class_name": "{class}", "config": {config}}}]}}"#)
    };
    let file = place.path("best.keras");
    for (content, flags, said) in [
        (callback("EarlyStopping", r#"{"monitor": "nope"}"#), &[][..], "nope"),
        (callback("EarlyStopping", "{}"), &[], "no validation data"),
        (callback("ReduceLROnPlateau", "{}"), &[], "val_loss"),
        (callback("ModelCheckpoint", r#"{"filepath": "best.txt"}"#), &[], "best.txt"),
        (callback("ModelCheckpoint", r#"{"filepath": "best.json"}"#), &[], "best.json"),
        (callback("ModelCheckpoint", r#"{"filepath": "b.weights.h5"}"#), &[], "weights alone"),
        (callback("ModelCheckpoint", r#"{"filepath": "{val_loss}.keras"}"#), &[], "{val_loss}"),
        (
            callback(
                "ModelCheckpoint",
                &format!(r#"{{"filepath": {file:?}, "save_best_only": true}}"#),
            ),
            &[],
            "val_loss",
        ),
        (
            callback("ModelCheckpoint", r#"{"filepath": "{val_loss}.keras", "save_freq": 2}"#),
            &["--validation-split", "0.2"],
            "{val_loss}",
        ),
        (
            callback("ReduceLROnPlateau", r#"{"monitor": "loss"}"#),
            &[
                "--learning-rate",
                r#"{"class_name": "CosineDecay",
                "config": {"initial_learning_rate": 0.1, "decay_steps": 5}}"#,
            ],
            "schedule",
        ),
        (callback("EarlyStopping", r#"{"monitor": "learning_rate"}"#), &[], "learning_rate"),
    ] {
        let config = place.file("settings.json", &content);
        let given = [&lstm(&out)[..], &["--config", &config], flags].concat();
        let output = common::command::seqfuse(&given);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{content}: {error}");
        assert!(error.contains(said), "{content}: {error}");
        assert!(output.stdout.is_empty(), "{content}: an epoch was trained");
    }
    // What another callback adds can be watched.
    let both = r#"{"callbacks": [
        {"class_name": "ReduceLROnPlateau", "config": {"monitor": "loss"}},
        {"class_name": "EarlyStopping", "config": {"monitor": "learning_rate", "mode": "min"}}]}"#;
    let config = place.file("settings.json", both);
    done(&[&lstm(&out)[..], &["--config", &config]].concat());
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_the_size_of_files_is_an_error_like_any_other() {
    let place = Place::new();
    let (old, folder) = (place.file("old.keras", "old"), place.path("points"));
    for flags in ["", &format!("--checkpoint {folder}")] {
        let script = format!(
            "ulimit -f 8; exec {} train models/tiny-lstm.json --data {SENTENCES} --output {old} {flags}",
            env!("CARGO_BIN_EXE_seqfuse"),
        );
        let mut command = Command::new("bash");
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-c", &script]);
        let output = command.output().expect("bash starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("File too large"), "{said}");
        assert_eq!(std::fs::read_to_string(&old).expect("is there"), "old");
    }
    assert_eq!(std::fs::read_dir(&folder).expect("was made").count(), 0);
    let mut names = place.names();
    names.sort();
    assert_eq!(names, ["old.keras", "points"]);
}

#[test]
fn an_unfinished_run_is_not_replaced() {
    let place = Place::new();
    let (out, folder) = (place.path("out.keras"), place.path("points"));
    let model = dense(&place, 2);
    let linear = std::fs::read_to_string(&model).expect("is there").replace("sigmoid", "linear");
    std::fs::write(&model, linear).expect("is written");
    let csv = "a,b,c,label\n".to_owned() + &rows(20, |i| format!("{i},1,2,{}", i % 2));
    let data = place.file("data.csv", &csv);
    let train = ["train", &model, "--data", &data, "--checkpoint", &folder, "--output", &out];
    done(&[&train[..], &["--epochs", "2"]].concat());
    // A finished run is replaced.
    done(&[&train[..], &["--epochs", "1", "--seed", "1"]].concat());
    // One whose loss grew beyond all bounds after some epochs is not finished.
    let blow = ["--optimizer", "sgd", "--loss", "mse", "--learning-rate", "1e6", "--epochs", "30"];
    let broken = refused(1, &[&train[..], &blow].concat());
    assert!(broken.contains("the loss became"), "{broken}");
    let kept = std::fs::read(format!("{folder}/checkpoint.safetensors")).expect("is there");
    let error = refused(1, &[&train[..], &["--epochs", "2"]].concat());
    assert!(error.contains("not finished") && error.contains("--resume"), "{error}");
    let after = std::fs::read(format!("{folder}/checkpoint.safetensors")).expect("is there");
    assert!(kept == after, "the checkpoint changed");
    // Neither if its newest checkpoint was damaged, as long as there is the one before.
    std::fs::write(format!("{folder}/checkpoint.safetensors"), "damaged").expect("is written");
    let error = refused(1, &train);
    assert!(error.contains("previous.safetensors"), "{error}");
    std::fs::remove_dir_all(&folder).expect("is there");
    done(&train);
}

#[test]
fn what_differs_from_a_checkpoint_is_told_in_words() {
    let place = Place::new();
    let (out, folder) = (place.path("out.keras"), place.path("points"));
    let first = place.path("first.keras");
    done(&lstm(&first));
    let kept = |model: &str, data: &str, flags: &[&str]| -> Vec<String> {
        let given = ["train", model, "--data", data, "--checkpoint", &folder, "--output", &out];
        given.iter().chain(flags).map(|flag| (*flag).to_owned()).collect()
    };
    let run = |exit: i32, given: Vec<String>| -> String {
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        match exit {
            0 => done(&given),
            exit => refused(exit, &given),
        }
    };
    let lstm = "models/tiny-lstm.json";
    run(0, kept(lstm, SENTENCES, &[]));
    let content = std::fs::read_to_string(SENTENCES).expect("is there");
    let other =
        place.file("other.csv", &content.replacen("good", "bad", 1).replacen("great", "mild", 1));
    let more = place.file("more.csv", &(content + "a film more,positive\n"));
    for (data, flags, said) in [
        (other.as_str(), &[][..], "the training data are others: input"),
        (&more, &[], "now string"),
        (SENTENCES, &["--learning-rate", "0.5"], "optimizer setting learning_rate: was 0.001"),
        (SENTENCES, &["--optimizer", "sgd"], "optimizer: was Adam, now SGD"),
        (SENTENCES, &["--loss", "mse"], "loss: was binary_crossentropy, now mse"),
        (SENTENCES, &["--seed", "4"], "seed: was 0, now 4"),
        (SENTENCES, &["--class-weight", "1=2"], "class_weight: was [], now [\"1=2\"]"),
    ] {
        let error = run(1, kept(lstm, data, &[&["--resume", "--epochs", "2"], flags].concat()));
        assert!(error.contains(said) && error.contains("checkpoint.safetensors"), "{error}");
    }
    // The same architecture with other weights.
    std::fs::remove_dir_all(&folder).expect("is there");
    let second = place.path("second.keras");
    done(&["train", &first, "--data", SENTENCES, "--output", &second]);
    run(0, kept(&first, SENTENCES, &[]));
    run(0, kept(&first, SENTENCES, &["--resume", "--epochs", "2"]));
    let error = run(1, kept(&second, SENTENCES, &["--resume", "--epochs", "3"]));
    assert!(error.contains("begins with other values"), "{error}");
}

#[test]
fn what_a_model_has_no_use_for_is_refused() {
    let place = Place::new();
    let (ids, out) = (lookup(&place), place.path("out.keras"));
    let data = place.file("ids.csv", "ids[0],ids[1],label\n1,2,0\n3,4,2\n");
    let tokens = place.file("tokens.txt", "a\nb\n");
    let train = ["train", &ids, "--data", &data, "--output", &out, "--vocabulary", &tokens];
    assert!(refused(2, &train).contains("takes no text"));
    // A loss that wants another form of targets says which one does not.
    let named = place.file("named.csv", "ids[0],ids[1],label\n1,2,a\n3,4,c\n5,6,b\n");
    let error = refused(1, &["train", &ids, "--data", &named, "--loss", "mse", "--output", &out]);
    assert!(error.contains("sparse_categorical_crossentropy"), "{error}");
}

#[test]
fn losses_of_single_outputs_are_means_of_batches() {
    // As Keras's fit gives them: a shorter last batch counts as much as the others in the loss of one
    // output, and by its rows in the loss of all.
    let place = Place::new();
    let head = "x[0],x[1],x[2],x[3],number,label\n".to_owned();
    let line = |row: usize| format!("{row},1,-1,{},{},{}", row % 2, row * row, row % 3);
    let all = place.file("all.csv", &(head.clone() + &rows(5, line)));
    let (four, one) = (
        place.file("four.csv", &(head.clone() + &rows(4, line))),
        place.file("one.csv", &(head + &rows(1, |_| line(4)))),
    );
    let measured = |data: &str| -> Value {
        let said = done(&["evaluate", TWO_OUTPUTS, "--data", data, "--batch-size", "4", "--json"]);
        serde_json::from_str(&said).expect("is JSON")
    };
    let (all, four, one) = (measured(&all), measured(&four), measured(&one));
    let number = |of: &Value, name: &str| of[name].as_f64().expect("a number");
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-4 * b.abs(), "{a} {b}");
    close(
        number(&all, "number_loss"),
        (number(&four, "number_loss") + number(&one, "number_loss")) / 2.0,
    );
    close(number(&all, "loss"), (4.0 * number(&four, "loss") + number(&one, "loss")) / 5.0);
}
