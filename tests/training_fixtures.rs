//! Training gives the losses, metrics, weights and predictions that real Keras gave, epoch by epoch.
//!
//! `SEQFUSE_CASES=optimizers/,lstm` runs the cases whose `family/name` contains one of these only.

mod common;

use std::collections::BTreeMap;

use seqfuse::train::{Dataset, History, TrainConfig, Trainer};
use seqfuse::{Model, Options, Tensor, Tensors};
use serde_json::{Value, json};

use common::cases::{fixtures, list, options as reading};
use common::check::{chain, text, wanted};
use common::npz;

type Arrays = BTreeMap<String, Tensor>;

/// What a case may differ by: losses and metrics relative, weights and predictions absolute plus
/// relative.
const LOSS: f64 = 1e-5;
const VALUE: f32 = 1e-4;

fn families() -> Vec<String> {
    let folder = fixtures().join("training");
    let entries = std::fs::read_dir(folder).expect("the training fixtures are there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("can be listed"))
        .filter(|entry| entry.path().join("cases.json").exists())
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

/// The arrays `prefix`, or `prefix/NAME`, in order.
fn named(arrays: &Arrays, prefix: &str, names: &[&str]) -> Tensors {
    let single = arrays.get(prefix).map(|tensor| (prefix.to_owned(), tensor.clone()));
    let several = names.iter().enumerate().filter_map(|(index, name)| {
        let by_name = arrays.get(&format!("{prefix}/{name}"));
        let found = by_name.or_else(|| arrays.get(&format!("{prefix}/{index}")))?;
        Some(((*name).to_owned(), found.clone()))
    });
    single.into_iter().chain(several).collect()
}

fn dataset(case: &Value, arrays: &Arrays, suffix: &str) -> Result<Dataset, String> {
    let names = |key: &str| -> Vec<&str> {
        let list = case[key].as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|name| name.as_str().expect("a name")).collect()
    };
    let (inputs, outputs) = (names("inputs"), names("outputs"));
    let data = Dataset::new(
        named(arrays, &format!("x{suffix}"), &inputs),
        named(arrays, &format!("y{suffix}"), &outputs),
    );
    let weights = named(arrays, &format!("sample_weight{suffix}"), &outputs);
    data.and_then(|data| data.with_weights(weights)).map_err(|error| chain(&error))
}

fn config(case: &Value, arrays: &Arrays, threads: usize) -> Result<TrainConfig, String> {
    let fit = case["fit"].as_object().expect("fit's options");
    let mut config = TrainConfig::new().options(Options::new().threads(threads));
    // Python's None stands for the default.
    for (option, value) in fit.iter().filter(|(_, value)| !value.is_null()) {
        let count = || value.as_u64().expect("a count") as usize;
        config = match option.as_str() {
            "epochs" => config.epochs(count()),
            "initial_epoch" => config.initial_epoch(count()),
            "batch_size" => config.batch_size(count()),
            "shuffle" => config.shuffle(value.as_bool().expect("a truth value")),
            "validation_split" => config.validation_split(value.as_f64().expect("a share")),
            "validation_batch_size" => config.validation_batch_size(count()),
            "validation_data" => config.validation(dataset(case, arrays, "_val")?),
            "class_weight" => {
                let weights = value.as_object().expect("weights by class");
                config.class_weight(weights.iter().map(|(class, weight)| {
                    let class = class.parse().expect("a class");
                    (class, weight.as_f64().expect("a weight") as f32)
                }))
            }
            other => return Err(format!("the test does not know fit's option {other}")),
        };
    }
    // What Keras's own files lose of a loss.
    Ok(match text(case, "name") {
        "cosine_similarity_axis" => {
            let axis = json!({"axis": 0, "reduction": "sum"});
            config.loss(json!({"class_name": "CosineSimilarity", "config": axis}))
        }
        "huber_delta" => config.loss(json!({"class_name": "Huber", "config": {"delta": 0.3}})),
        _ => config,
    })
}

/// What is refused by name: the case, and a word of the refusal.
const REFUSED: [(&str, &str); 14] = [
    ("losses/binary_focal", "binary_focal_crossentropy"),
    ("losses/binary_focal_balanced", "BinaryFocalCrossentropy"),
    ("losses/categorical_focal", "categorical_focal_crossentropy"),
    ("losses/cosine_similarity_axis", "axis"),
    ("losses/dice", "Dice"),
    ("losses/tversky", "Tversky"),
    ("metrics/accuracy_of_regression", "R2Score"),
    ("metrics/binary_options", "SensitivityAtSpecificity"),
    ("metrics/weighted_regression", "R2Score"),
    ("fit/steps_per_epoch", "steps_per_epoch"),
    ("fit/validation_sometimes", "validation_freq"),
    ("layers/conv_lstm", "ConvLSTM1D"),
    ("optimizers/adafactor_dense", "Adafactor"),
    ("optimizers/adafactor_pooled", "Adafactor"),
];

fn close(found: f64, expected: f64) -> bool {
    found == expected
        || (found.is_nan() && expected.is_nan())
        || (found - expected).abs() <= LOSS * expected.abs().max(1e-3)
}

fn check_history(case: &Value, history: &History) -> Result<(), String> {
    let expected = case["history"].as_object().expect("the history");
    for (name, values) in expected {
        let found = history.get(name).ok_or_else(|| format!("no {name} in the history"))?;
        let values: Vec<f64> = values
            .as_array()
            .expect("a list")
            .iter()
            .map(|v| v.as_f64().unwrap_or(f64::NAN))
            .collect();
        let same = found.len() == values.len();
        if !same || !found.iter().zip(&values).all(|(a, b)| close(*a, *b)) {
            return Err(format!("{name} is {found:?}, not {values:?}"));
        }
    }
    match history.iter().find(|(name, _)| !expected.contains_key(*name)) {
        Some((name, _)) => Err(format!("Keras gives no {name}")),
        None => Ok(()),
    }
}

fn difference(what: &str, found: &Tensor, expected: &Tensor) -> Result<(), String> {
    if found.shape() != expected.shape() {
        return Err(format!("{what}: shape {:?}, not {:?}", found.shape(), expected.shape()));
    }
    let (Some(found), Some(expected)) = (found.as_f32(), expected.as_f32()) else { return Ok(()) };
    let mut worst = (0.0f32, String::new());
    for (at, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let off = (a - b).abs() / (1.0 + b.abs());
        if off > worst.0 || a.is_nan() != b.is_nan() {
            worst = (
                if off.is_nan() { f32::INFINITY } else { off },
                format!("element {at} is {a}, not {b}"),
            );
        }
    }
    if worst.0 > VALUE { Err(format!("{what}: {}", worst.1)) } else { Ok(()) }
}

fn check_model(case: &Value, model: &Model, arrays: &Arrays) -> Result<(), String> {
    let document = model.document().ok_or("the model has no document")?;
    let noise: Vec<u64> = case["zero_gradient"]
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_u64).collect())
        .unwrap_or_default();
    for (index, saved) in document.variables.iter().enumerate() {
        let Some(expected) = arrays.get(&format!("after/{index}")) else {
            return Err(format!("Keras has no weight {index}"));
        };
        if !noise.contains(&(index as u64)) {
            let variable = model.graph().variable(saved.variable);
            difference(&variable.name, &variable.value, expected)?;
        }
    }
    for (index, (path, tensor)) in document.optimizer.iter().enumerate() {
        let expected = arrays.get(&format!("slots/{index}"));
        let expected = expected.ok_or_else(|| format!("Keras has no slot {index}"))?;
        difference(path, tensor, expected)?;
    }
    let mut session = model.session(&Options::new().threads(1)).map_err(|error| chain(&error))?;
    let names: Vec<String> =
        model.graph().inputs().iter().map(|input| input.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut inputs = named(arrays, "x", &names);
    if let Some(x) = arrays.get("x") {
        inputs = Tensors::new().with(names[0], x.clone());
    }
    let outputs = session.run(&inputs).map_err(|error| chain(&error))?;
    for (index, (name, found)) in outputs.iter().enumerate() {
        let expected = arrays.get(&format!("predictions/{index}"));
        let expected = expected.or_else(|| arrays.get("predictions")).ok_or("no predictions")?;
        difference(&format!("predictions of {name}"), found, expected)?;
    }
    Ok(())
}

fn check(case: &Value) -> Result<(), String> {
    let file = fixtures().join("training").join(text(case, "family")).join(text(case, "name"));
    let arrays = npz::read(&file.with_added_extension("npz"));
    let model = Model::open_with(file.with_added_extension("keras"), &reading())
        .map_err(|error| chain(&error))?;
    let config = config(case, &arrays, 2)?;
    let mut trainer = Trainer::new(&model, &config).map_err(|error| chain(&error))?;
    let data = dataset(case, &arrays, "")?;
    let history = trainer.fit(&data).map_err(|error| chain(&error))?;
    check_history(case, &history)?;
    let trained = trainer.model().map_err(|error| chain(&error))?;
    check_model(case, &trained, &arrays)?;
    let logs = trainer.evaluate(&data).map_err(|error| chain(&error))?;
    for (name, expected) in case["evaluate"].as_object().expect("what evaluate gave") {
        let found = logs.get(name).ok_or_else(|| format!("evaluate gives no {name}"))?;
        let expected = expected.as_f64().unwrap_or(f64::NAN);
        if !close(found, expected) {
            return Err(format!("evaluate's {name} is {found}, not {expected}"));
        }
    }
    Ok(())
}

#[test]
fn training_follows_keras() {
    let (mut run, mut failed) = (0, Vec::new());
    for family in families() {
        for case in list(&format!("training/{family}/cases.json")) {
            let name = format!("{family}/{}", text(&case, "name"));
            if wanted(&name) {
                run += 1;
                let refused = REFUSED.iter().find(|(case, _)| *case == name);
                match (check(&case), refused) {
                    (Ok(()), None) => {}
                    (Err(problem), Some((_, word))) if problem.contains(word) => {}
                    (Ok(()), Some(_)) => failed.push(format!("{name}: is not refused")),
                    (Err(problem), _) => failed.push(format!("{name}: {problem}")),
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} of {run} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(run > 0, "no case is named so");
}
