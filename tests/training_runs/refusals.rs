//! A checkpoint is refused by whatever it does not belong to, and the error names that.

use seqfuse::Model;
use seqfuse::train::callback::{EarlyStopping, TerminateOnNaN};
use seqfuse::train::{Dataset, TrainConfig, Trainer};
use serde_json::json;

use super::models::{config, convolution, data, lstm};

fn refusal(model: &Model, config: TrainConfig, data: &Dataset) -> String {
    let mut trainer = Trainer::new(model, &config).unwrap();
    trainer.fit(data).unwrap_err().to_string()
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let rows = data(20, 6, 3);
    let here = || config().checkpoint(folder.path()).resume(true);
    Trainer::new(&lstm(), &here()).unwrap().fit(&rows).unwrap();
    let slower = json!({"class_name": "Adam", "config": {"learning_rate": 0.03}});
    for (found, named) in [
        (refusal(&convolution(), here(), &rows), "`conv1d/kernel`"),
        (refusal(&lstm(), here().optimizer("sgd"), &rows), "optimizer: was Adam, now SGD"),
        (
            refusal(&lstm(), here().optimizer(slower), &rows),
            "optimizer setting learning_rate: was 0.0",
        ),
        (
            refusal(&lstm(), here().metrics(json!(["accuracy"])), &rows),
            "metrics: was [\"accuracy\",\"AUC\"",
        ),
        (refusal(&lstm(), here().seed(6), &rows), "seed: was 5, now 6"),
        (refusal(&lstm(), here().batch_size(7), &rows), "batch_size: was 8, now 7"),
        (refusal(&lstm(), here().shuffle(false), &rows), "shuffle"),
        (
            refusal(&lstm(), here(), &data(20, 6, 4)),
            "training data are others: input `ids` has other values",
        ),
        (refusal(&lstm(), here(), &data(21, 6, 3)), "was i32 [20, 6], now i32 [21, 6]"),
        (refusal(&lstm(), here().validation(data(5, 6, 8)), &rows), "validation data are others"),
    ] {
        assert!(found.contains(named) && found.contains("checkpoint.safetensors"), "{found}");
    }
    // More epochs let a finished run go on, which callbacks with a state of their own cannot join.
    let stopping = EarlyStopping::new("loss");
    let mut other = Trainer::new(&lstm(), &here().epochs(9)).unwrap().callback(stopping);
    let error = other.fit(&rows).unwrap_err().to_string();
    assert!(error.contains("callbacks none, now there are EarlyStopping"), "{error}");
    let mut other =
        Trainer::new(&lstm(), &here().epochs(4)).unwrap().callback(TerminateOnNaN::new());
    assert_eq!(other.fit(&rows).unwrap().epochs(), 4);
}

#[test]
fn resuming_needs_a_folder() {
    let error = refusal(&lstm(), config().resume(true), &data(9, 4, 1));
    assert!(error.contains("resume") && error.contains("--checkpoint"), "{error}");
    let error = refusal(&lstm(), config().checkpoint_every(2), &data(9, 4, 1));
    assert!(error.contains("checkpoint_every"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = refusal(&lstm(), config().checkpoint(&file), &data(9, 4, 1));
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}
