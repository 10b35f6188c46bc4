//! Callbacks in Keras's serialized form.

use serde_json::{Map, Value, json};

use super::{
    Callback, CsvLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TerminateOnNaN,
    TrainError,
};
use crate::train::object::{Object, show};

/// Every class that has a serialized form.
const CLASSES: [&str; 5] =
    ["CSVLogger", "EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau", "TerminateOnNaN"];

/// The callback of a class of Keras with the options `config`, such as `EarlyStopping` with
/// `{"patience": 3}`. What an option may say and is by default is what Keras documents.
///
/// # Errors
/// If class, option or value is not known.
pub fn from_json(
    class_name: &str,
    config: &Map<String, Value>,
) -> Result<Box<dyn Callback>, TrainError> {
    let mut object =
        Object::read("callback", &json!({ "class_name": class_name, "config": config }))?;
    // What is printed is the program's own affair.
    object.ignore(&["verbose"]);
    let read: Box<dyn Callback> = match class_name {
        "CSVLogger" => Box::new(CsvLogger::read(&mut object)?),
        "EarlyStopping" => Box::new(EarlyStopping::read(&mut object)?),
        "ModelCheckpoint" => Box::new(ModelCheckpoint::read(&mut object)?),
        "ReduceLROnPlateau" => Box::new(ReduceLROnPlateau::read(&mut object)?),
        "TerminateOnNaN" => Box::new(TerminateOnNaN::read(&mut object)?),
        "BackupAndRestore" => return Err(elsewhere(class_name, "ask for a checkpoint instead")),
        "LearningRateScheduler" => {
            let expected = "give the optimizer's learning_rate as a schedule instead";
            return Err(elsewhere(class_name, expected));
        }
        _ => return Err(object.unknown(&CLASSES)),
    };
    object.finish()?;
    Ok(read)
}

fn elsewhere(class: &str, instead: &str) -> TrainError {
    TrainError::setting("callback", format!("`{class}` has no serialized form here"), instead)
}

/// The callbacks of a list `[{"class_name": …, "config": {…}}, …]`.
///
/// # Errors
/// If it is no such list, or as [`from_json`].
pub fn list_from_json(list: &Value) -> Result<Vec<Box<dyn Callback>>, TrainError> {
    let bad = |value: &Value| {
        let expected = "give a list of {\"class_name\": …, \"config\": {…}}";
        TrainError::setting("callbacks", show(value), expected)
    };
    let entries = list.as_array().ok_or_else(|| bad(list))?;
    let read = entries.iter().map(|entry| {
        let class = entry.get("class_name").and_then(Value::as_str).or(entry.as_str());
        let config = match entry.get("config") {
            None | Some(Value::Null) => Some(Map::new()),
            Some(config) => config.as_object().cloned(),
        };
        let (class, config) = class.zip(config).ok_or_else(|| bad(entry))?;
        from_json(class, &config)
    });
    read.collect()
}

/// A count of epochs.
///
/// # Errors
/// If it is something else.
pub(super) fn count(
    object: &mut Object,
    option: &str,
    default: usize,
) -> Result<usize, TrainError> {
    match object.integer(option)? {
        None => Ok(default),
        Some(count) => usize::try_from(count)
            .map_err(|_| object.bad(option, &count.to_string(), "it is 0 or more")),
    }
}
