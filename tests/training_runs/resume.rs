//! Training that fails or ends goes on from its checkpoint as if it had not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use seqfuse::train::callback::{
    EarlyStopping, LambdaCallback, LearningRateScheduler, ReduceLROnPlateau,
};
use seqfuse::train::{TrainConfig, TrainError, Trainer};
use serde_json::json;

use super::models::{config, convolution, data, lstm, outcome, same};

/// A callback that fails after so many batches.
fn failing(after: usize) -> LambdaCallback {
    let seen = AtomicUsize::new(0);
    LambdaCallback::new().on_batch_end(move |_, _, _| {
        match seen.fetch_add(1, Ordering::Relaxed) + 1 == after {
            true => Err(TrainError::Missing { what: "rest", example: "this" }),
            false => Ok(()),
        }
    })
}

fn trainer(model: &seqfuse::Model, config: &TrainConfig) -> Trainer {
    Trainer::new(model, config)
        .unwrap()
        .callback(LearningRateScheduler::new(
            |epoch, rate| if epoch == 1 { rate * 0.7 } else { rate },
        ))
        .callback(ReduceLROnPlateau::new("loss").patience(1).min_delta(0.05).factor(0.5).unwrap())
        .callback(EarlyStopping::new("val_loss").patience(2).restore_best_weights(true))
}

/// A callback that counts batches.
fn counting(count: &Arc<AtomicUsize>) -> LambdaCallback {
    let count = count.clone();
    LambdaCallback::new().on_batch_end(move |_, _, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })
}

/// The batches of an epoch: 35 of 44 rows, 8 at a time.
const BATCHES: usize = 5;

/// Breaks runs off at several batches and compares what they end with, and that they did only what
/// was left.
fn check(what: &str, model: &seqfuse::Model, config: &TrainConfig, train: Make) {
    let data = data(44, 9, 2);
    let all = Arc::new(AtomicUsize::new(0));
    let mut whole = train(model, config).callback(counting(&all));
    let history = whole.fit(&data).unwrap();
    let expected = outcome(&whole, &history);
    for (every, breaks) in [(Some(1), &[1, 5, 8, 11][..]), (Some(3), &[2, 7]), (None, &[3, 6, 12])]
    {
        for &at in breaks {
            let folder = tempfile::tempdir().unwrap();
            let mut config = config.clone().checkpoint(folder.path()).resume(true);
            if let Some(every) = every {
                config = config.checkpoint_every(every);
            }
            let mut broken = train(model, &config).callback(failing(at));
            assert!(broken.fit(&data).is_err(), "{what}");
            let left = Arc::new(AtomicUsize::new(0));
            let mut again = train(model, &config).callback(counting(&left));
            let history = again.fit(&data).unwrap();
            let saved = |batch: &usize| {
                batch.is_multiple_of(BATCHES) || every.is_some_and(|n| batch.is_multiple_of(n))
            };
            let saved = (0..at).rev().find(saved).unwrap();
            let all = all.load(Ordering::Relaxed);
            assert_eq!(left.load(Ordering::Relaxed), all - saved, "{what}, {every:?}, {at}");
            let name = format!("{what}, every {every:?}, broken off at {at}");
            same(&name, &outcome(&again, &history), &expected);
        }
    }
}

type Make = fn(&seqfuse::Model, &TrainConfig) -> Trainer;

fn plain(model: &seqfuse::Model, config: &TrainConfig) -> Trainer {
    Trainer::new(model, config).unwrap()
}

#[test]
fn a_broken_run_goes_on_to_the_bit() {
    let config = config().validation_split(0.2);
    check("adam", &lstm(), &config, trainer);
}

#[test]
fn every_kind_of_optimizer_goes_on_to_the_bit() {
    let schedule = json!({"class_name": "ExponentialDecay",
        "config": {"initial_learning_rate": 0.05, "decay_steps": 3, "decay_rate": 0.8}});
    let accumulating = json!({"learning_rate": 0.05, "momentum": 0.9,
        "gradient_accumulation_steps": 3, "use_ema": true, "ema_momentum": 0.9});
    let overwriting = json!({"use_ema": true, "ema_overwrite_frequency": 4, "rho": 0.8});
    for (class, options) in [
        ("Nadam", json!({"learning_rate": 0.02, "clipnorm": 0.5})),
        ("SGD", accumulating),
        ("RMSprop", overwriting),
        ("Adam", json!({"learning_rate": schedule, "amsgrad": true})),
    ] {
        let config = config().optimizer(json!({"class_name": class, "config": options}));
        check(class, &convolution(), &config.validation_split(0.2), plain);
    }
}

#[test]
fn a_finished_run_gives_its_history_at_once() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data(20, 6, 3));
    let config = config().checkpoint(folder.path()).resume(true);
    let mut first = plain(&lstm(), &config);
    let history = first.fit(&data).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let counting = LambdaCallback::new().on_train_begin(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    let mut again = plain(&lstm(), &config).callback(counting);
    let same_history = again.fit(&data).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    same("finished", &outcome(&again, &same_history), &outcome(&first, &history));
}

#[test]
fn a_finished_run_takes_more_epochs() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data(20, 6, 3));
    // At the end the averages take the weights' place, which the longer run does later.
    let averaging = json!({"class_name": "Adam", "config": {"use_ema": true}});
    let config = config().optimizer(averaging).resume(true);
    plain(&lstm(), &config.clone().epochs(2).checkpoint(folder.path())).fit(&data).unwrap();
    let mut more = plain(&lstm(), &config.clone().epochs(4).checkpoint(folder.path()));
    let history = more.fit(&data).unwrap();
    assert_eq!(history.epochs(), 4);
    let mut whole = plain(&lstm(), &config.resume(false).epochs(4));
    let expected = whole.fit(&data).unwrap();
    same("longer", &outcome(&more, &history), &outcome(&whole, &expected));
}

#[test]
fn without_resuming_a_finished_run_begins_anew() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data(20, 6, 3));
    let config = config().checkpoint(folder.path()).checkpoint_every(1);
    assert!(plain(&lstm(), &config).callback(failing(4)).fit(&data).is_err());
    // What was broken off could go on, and is not thrown away unasked.
    let error = plain(&lstm(), &config).fit(&data).unwrap_err().to_string();
    assert!(error.contains("not finished") && error.contains("--resume"), "{error}");
    plain(&lstm(), &config.clone().resume(true)).fit(&data).unwrap();
    let other = config.clone().seed(9);
    let mut anew = plain(&lstm(), &other);
    let history = anew.fit(&data).unwrap();
    assert_eq!((history.epochs(), anew.iterations()), (3, 9));
    let mut again = plain(&lstm(), &other.resume(true));
    let resumed = again.fit(&data).unwrap();
    same("anew", &outcome(&again, &resumed), &outcome(&anew, &history));
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let (folder, data) = (tempfile::tempdir().unwrap(), data(44, 9, 2));
    let config = config().checkpoint(folder.path()).checkpoint_every(1).resume(true);
    let mut whole = plain(&lstm(), &self::config());
    let history = whole.fit(&data).unwrap();
    let expected = outcome(&whole, &history);
    assert!(plain(&lstm(), &config).callback(failing(9)).fit(&data).is_err());
    let newest = folder.path().join("checkpoint.safetensors");
    let bytes = std::fs::read(&newest).unwrap();
    let kept = std::fs::read(folder.path().join("previous.safetensors")).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() * 2 / 3] ^= 4;
    for damaged in [&flipped[..], &bytes[..bytes.len() / 2], &[]] {
        std::fs::write(&newest, damaged).unwrap();
        std::fs::write(folder.path().join("previous.safetensors"), &kept).unwrap();
        let mut again = plain(&lstm(), &config);
        let history = again.fit(&data).unwrap();
        same("damaged", &outcome(&again, &history), &expected);
        let note = again.notes().first().expect("a note");
        assert!(note.contains("checkpoint.safetensors") && note.contains("damaged"), "{note}");
    }
    std::fs::write(&newest, &flipped).unwrap();
    std::fs::write(folder.path().join("previous.safetensors"), &kept[..100]).unwrap();
    let error = plain(&lstm(), &config).fit(&data).unwrap_err().to_string();
    assert!(error.contains("checkpoint.safetensors") && error.contains("damaged"), "{error}");
    // The moment between the two renames.
    std::fs::remove_file(&newest).unwrap();
    std::fs::write(folder.path().join("previous.safetensors"), &kept).unwrap();
    let mut again = plain(&lstm(), &config);
    let history = again.fit(&data).unwrap();
    same("renamed", &outcome(&again, &history), &expected);
    assert!(Path::new(&newest).exists());
}
