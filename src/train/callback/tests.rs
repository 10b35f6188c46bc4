//! Callbacks do what real Keras's did with the same logs (`tools/fixtures/callbacks.py`).

use std::path::Path;

use serde_json::{Map, Value, json};

use super::control::Control;
use super::{Callback, Context, EarlyStopping, Mode, TrainError, from_json, list_from_json};
use crate::graph::Tensor;
use crate::model::Model;
use crate::train::metric::{self, Direction};
use crate::train::{History, Logs};

/// Training of which only the learning rate and one weight are there.
struct Fake {
    rate: f32,
    weights: f32,
    stopped: bool,
    metrics: Vec<Value>,
    saved: Option<Model>,
}

impl Control for Fake {
    fn has_schedule(&self) -> bool {
        false
    }

    fn stop(&mut self) {
        self.stopped = true;
    }

    fn learning_rate(&self) -> f32 {
        self.rate
    }

    fn set_learning_rate(&mut self, rate: f32) -> Result<(), TrainError> {
        self.rate = rate;
        Ok(())
    }

    fn weights(&self) -> Vec<Tensor> {
        vec![Tensor::scalar(self.weights)]
    }

    fn set_weights(&mut self, weights: &[Tensor]) {
        self.weights = weights[0].as_f32().unwrap()[0];
    }

    fn model(&self) -> Result<Model, TrainError> {
        Ok(self.saved.clone().expect("a case without files saves no model"))
    }

    fn direction(&self, name: &str) -> Option<Direction> {
        let mut known = self.metrics.iter().filter_map(metric::direction);
        known.rfind(|(known, _)| known == name).map(|(_, direction)| direction)
    }
}

/// A number, which the fixtures hold as a text.
fn number(value: &Value) -> f64 {
    value.as_str().map_or_else(|| value.as_f64().unwrap(), |text| text.parse().unwrap())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn fixture(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(fixture("training/callbacks.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The callbacks of a case, whose files are moved into `folder`.
fn callbacks(case: &Value, folder: &Path) -> Vec<Box<dyn Callback>> {
    let read = |entry: &Value| {
        let mut config = entry[1].as_object().unwrap().clone();
        for option in ["filename", "filepath"] {
            if let Some(Value::String(name)) = config.get_mut(option) {
                *name = folder.join(&name).to_str().unwrap().to_owned();
            }
        }
        from_json(entry[0].as_str().unwrap(), &config).unwrap()
    };
    case["callbacks"].as_array().unwrap().iter().map(read).collect()
}

struct Outcome {
    epochs: usize,
    rates: Vec<f32>,
    history: History,
    control: Fake,
}

/// Drives callbacks with the logs of a case; before the epochs of `breaks` they are made anew and go
/// on from their state.
fn drive(case: &Value, folder: &Path, breaks: &[usize]) -> Outcome {
    let mut callbacks = callbacks(case, folder);
    let mut control = Fake {
        rate: number(&case["rate"]) as f32,
        weights: 0.0,
        stopped: false,
        metrics: case["metrics"].as_array().unwrap().clone(),
        saved: Some(Model::open(fixture("training/layers/add.keras")).unwrap()),
    };
    let (mut history, mut rates) = (History::new(), Vec::new());
    let logs = case["logs"].as_object().unwrap();
    let epochs = logs.values().next().unwrap().as_array().unwrap().len();
    let each = |callbacks: &mut Vec<Box<dyn Callback>>,
                control: &mut Fake,
                call: &mut dyn FnMut(&mut Box<dyn Callback>, &mut Context<'_>)| {
        let mut context = Context { control };
        callbacks.iter_mut().for_each(|callback| call(callback, &mut context));
    };
    each(&mut callbacks, &mut control, &mut |c, context| c.on_train_begin(context).unwrap());
    let mut epoch = 0;
    while epoch < epochs && !control.stopped {
        if breaks.contains(&epoch) {
            let states: Vec<_> = callbacks.iter().map(|c| c.state().unwrap_or_default()).collect();
            callbacks = self::callbacks(case, folder);
            let mut states = states.iter();
            each(&mut callbacks, &mut control, &mut |c, context| {
                c.on_train_resume(states.next().unwrap(), context).unwrap();
            });
        }
        each(&mut callbacks, &mut control, &mut |c, context| {
            c.on_epoch_begin(epoch, context).unwrap();
        });
        rates.push(control.rate);
        let mut now = Logs::new();
        logs.iter().for_each(|(name, values)| now.set(name.as_str(), number(&values[epoch])));
        each(&mut callbacks, &mut control, &mut |c, context| {
            c.on_batch_end(0, &now, context).unwrap();
        });
        control.weights = epoch as f32 + 1.0;
        each(&mut callbacks, &mut control, &mut |c, context| {
            c.on_epoch_end(epoch, &mut now, context).unwrap();
        });
        history.push(&now);
        epoch += 1;
    }
    each(&mut callbacks, &mut control, &mut |c, context| c.on_train_end(context).unwrap());
    Outcome { epochs: epoch, rates, history, control }
}

fn check(case: &Value, breaks: &[usize]) {
    let (name, expected) = (&case["name"], &case["expected"]);
    let folder = tempfile::tempdir().unwrap();
    let found = drive(case, folder.path(), breaks);
    assert_eq!(found.epochs as u64, expected["epochs"].as_u64().unwrap(), "{name}: epochs");
    let rates: Vec<f32> = numbers(&expected["rates"]).iter().map(|&rate| rate as f32).collect();
    assert_eq!(found.rates, rates, "{name}: rates");
    assert_eq!(found.control.rate, number(&expected["last_rate"]) as f32, "{name}: last rate");
    assert_eq!(found.control.weights, number(&expected["weights_of"]) as f32, "{name}: weights");
    let columns = expected["history"].as_object().unwrap();
    assert_eq!(found.history.iter().count(), columns.len(), "{name}: columns");
    for (column, values) in columns {
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        let given = found.history.get(column).unwrap();
        let nan = |values: &[f64]| values.iter().map(|v| v.is_nan()).collect::<Vec<_>>();
        let values = numbers(values);
        assert!(bits(given) == bits(&values) || nan(given) == nan(&values), "{name}: {column}");
    }
    let mut files: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(Value::from(files), expected["files"], "{name}: files");
    if let Some(csv) = expected["csv"].as_str() {
        let written = std::fs::read_to_string(folder.path().join("log.csv")).unwrap();
        assert_eq!(written, csv, "{name}: csv");
    }
}

#[test]
fn callbacks_do_what_keras_does() {
    let cases = cases();
    assert!(cases.len() > 30);
    cases.iter().for_each(|case| check(case, &[]));
}

#[test]
fn callbacks_go_on_from_their_state() {
    for case in cases() {
        check(&case, &[1, 3, 4, 7]);
        check(&case, &[0, 2, 5, 6, 9]);
    }
}

#[test]
fn a_csv_file_loses_what_was_written_after_the_state_and_can_be_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let case = cases().into_iter().find(|case| case["name"] == "csv").unwrap();
    let mut control =
        Fake { rate: 0.0, weights: 0.0, stopped: false, metrics: Vec::new(), saved: None };
    let mut context = Context { control: &mut control };
    let mut logs = Logs::new();
    logs.set("loss", 1.0);
    let mut first = callbacks(&case, folder.path()).remove(0);
    first.on_train_begin(&mut context).unwrap();
    first.on_epoch_end(0, &mut logs, &mut context).unwrap();
    let state = first.state().unwrap();
    let before = std::fs::read_to_string(&path).unwrap();
    first.on_epoch_end(1, &mut logs, &mut context).unwrap();
    let mut again = callbacks(&case, folder.path()).remove(0);
    again.on_train_resume(&state, &mut context).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);

    let config = json!({"filename": path.to_str(), "append": true});
    let mut appended = from_json("CSVLogger", config.as_object().unwrap()).unwrap();
    appended.on_train_begin(&mut context).unwrap();
    appended.on_epoch_end(0, &mut logs, &mut context).unwrap();
    let twice = std::fs::read_to_string(&path).unwrap();
    assert_eq!(twice, "epoch,loss,val_loss\r\n0,1.0,NA\r\n0,1.0,NA\r\n");
}

fn refusal(class: &str, config: Value) -> String {
    let config: Map<String, Value> = config.as_object().unwrap().clone();
    match from_json(class, &config) {
        Ok(_) => panic!("{class} takes {config:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    for (class, config, named) in [
        ("EarlyStoping", json!({}), "`EarlyStoping` is not known; there are CSVLogger, EarlyS"),
        ("EarlyStopping", json!({"patients": 3}), "patients of EarlyStopping is 3"),
        ("EarlyStopping", json!({"patience": "3"}), "patience of EarlyStopping is \"3\""),
        ("EarlyStopping", json!({"patience": -1}), "patience of EarlyStopping is -1"),
        ("EarlyStopping", json!({"mode": "best"}), "there are auto, min, max"),
        ("ReduceLROnPlateau", json!({"factor": 1.0}), "factor is 1; it is less than 1"),
        ("ModelCheckpoint", json!({}), "filepath of ModelCheckpoint is not given"),
        ("ModelCheckpoint", json!({"filepath": "a{epoch:x}.keras"}), "{epoch:x}"),
        ("ModelCheckpoint", json!({"filepath": "a{epoch.keras"}), "a brace has no counterpart"),
        ("ModelCheckpoint", json!({"filepath": "a.h5", "save_freq": 0}), "save_freq"),
        ("ModelCheckpoint", json!({"filepath": "a.h5", "save_weights_only": true}), "weights_only"),
        ("CSVLogger", json!({"filename": "a", "separator": "--"}), "it is one character"),
        ("LearningRateScheduler", json!({}), "learning_rate as a schedule"),
        ("BackupAndRestore", json!({}), "ask for a checkpoint"),
    ] {
        let error = refusal(class, config);
        assert!(error.contains(named), "{error}");
    }
    assert!(list_from_json(&json!({"class_name": "EarlyStopping"})).is_err());
    assert!(list_from_json(&json!([{"config": {}}])).is_err());
    let list = json!(["TerminateOnNaN", {"class_name": "EarlyStopping", "config": {"verbose": 1}}]);
    assert_eq!(list_from_json(&list).unwrap().len(), 2);
}

#[test]
fn a_monitor_that_is_not_reported_is_an_error_that_lists_the_names() {
    let mut control =
        Fake { rate: 0.0, weights: 0.0, stopped: false, metrics: Vec::new(), saved: None };
    let mut context = Context { control: &mut control };
    let mut logs = Logs::new();
    logs.set("loss", 1.0);
    logs.set("odd", 1.0);
    let mut run = |mut callback: EarlyStopping| {
        callback.on_epoch_end(0, &mut logs, &mut context).unwrap_err().to_string()
    };
    let error = run(EarlyStopping::default());
    assert!(error.contains("\"val_loss\"") && error.contains("there are loss, odd"), "{error}");
    let error = run(EarlyStopping::new("odd"));
    assert!(error.contains("set mode to \"min\" or \"max\""), "{error}");
    assert!(EarlyStopping::new("odd").mode(Mode::Max).state().is_some());
}
