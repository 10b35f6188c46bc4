//! Keras's serialized objects: a name, or a class with its options.

use serde_json::{Map, Value};

use super::TrainError;

/// An object that was named or serialized: an optimizer, a loss, a schedule, a metric.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    what: String,
    /// The class or function.
    pub class: String,
    config: Map<String, Value>,
}

impl Object {
    /// Whether a value is one serialized object, not a collection of several.
    pub fn is_one(value: &Value) -> bool {
        value.get("class_name").is_some()
    }

    /// Reads `value`; `what` names the setting in errors.
    ///
    /// # Errors
    /// If it is neither a name nor a serialized object.
    pub fn read(what: impl Into<String>, value: &Value) -> Result<Object, TrainError> {
        let what = what.into();
        let named = |class: &str| Object {
            what: what.clone(),
            class: class.to_owned(),
            config: Map::new(),
        };
        match (value, value.get("class_name").and_then(Value::as_str), value.get("config")) {
            (Value::String(name), ..) => Ok(named(name)),
            // Functions are serialized with their name in place of options.
            (_, Some("function"), Some(Value::String(name))) => Ok(named(name)),
            (_, Some(class), Some(Value::Object(config))) => {
                Ok(Object { config: config.clone(), ..named(class) })
            }
            (_, Some(class), None | Some(Value::Null)) => Ok(named(class)),
            _ => {
                let example = match what.split(' ').next() {
                    Some("loss") => "mse",
                    Some("callback") => "EarlyStopping",
                    _ => "adam",
                };
                let expected = format!(
                    "a name such as \"{example}\", or {{\"class_name\": …, \"config\": {{…}}}}"
                );
                Err(TrainError::setting(what, show(value), expected))
            }
        }
    }

    /// The class in lower case without underscores, under which names and classes meet.
    pub fn key(&self) -> String {
        self.class.replace('_', "").to_ascii_lowercase()
    }

    /// Takes an option out; null counts as absent.
    pub fn take(&mut self, option: &str) -> Option<Value> {
        self.config.remove(option).filter(|value| !value.is_null())
    }

    /// Takes out options that have no effect on what is computed.
    pub fn ignore(&mut self, options: &[&str]) {
        options.iter().for_each(|option| drop(self.config.remove(*option)));
    }

    /// A number.
    ///
    /// # Errors
    /// If it is something else.
    pub fn number(&mut self, option: &str) -> Result<Option<f64>, TrainError> {
        self.read_as(option, "a number", Value::as_f64)
    }

    /// A number, or what it is by default.
    ///
    /// # Errors
    /// If it is something else.
    pub fn number_or(&mut self, option: &str, default: f64) -> Result<f32, TrainError> {
        Ok(self.number(option)?.unwrap_or(default) as f32)
    }

    /// A truth value, or what it is by default.
    ///
    /// # Errors
    /// If it is something else.
    pub fn bool_or(&mut self, option: &str, default: bool) -> Result<bool, TrainError> {
        Ok(self.read_as(option, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// An integer.
    ///
    /// # Errors
    /// If it is something else.
    pub fn integer(&mut self, option: &str) -> Result<Option<i64>, TrainError> {
        self.read_as(option, "an integer", Value::as_i64)
    }

    /// A text.
    ///
    /// # Errors
    /// If it is something else.
    pub fn text(&mut self, option: &str) -> Result<Option<String>, TrainError> {
        self.read_as(option, "a text", |value| value.as_str().map(str::to_owned))
    }

    /// Refuses options that nobody took.
    ///
    /// # Errors
    /// The first such option.
    pub fn finish(self) -> Result<(), TrainError> {
        match self.config.iter().find(|(_, value)| !value.is_null()) {
            None => Ok(()),
            Some((option, value)) => {
                let found = format!("{} of {} is {}", option, self.class, show(value));
                Err(TrainError::setting(self.what, found, "this option is not supported"))
            }
        }
    }

    /// The error that an option has a value that is not honoured.
    pub fn bad(&self, option: &str, value: &str, expected: &str) -> TrainError {
        let found = format!("{} of {} is {}", option, self.class, value);
        TrainError::setting(self.what.clone(), found, expected.to_owned())
    }

    /// The error that the class is none of `known`.
    pub fn unknown(&self, known: &[&str]) -> TrainError {
        let found = format!("`{}` is not known", self.class);
        TrainError::setting(self.what.clone(), found, format!("there are {}", known.join(", ")))
    }

    fn read_as<T>(
        &mut self,
        option: &str,
        expected: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, TrainError> {
        let Some(value) = self.take(option) else { return Ok(None) };
        match convert(&value) {
            Some(found) => Ok(Some(found)),
            None => Err(self.bad(option, &show(&value), &format!("it is {expected}"))),
        }
    }
}

/// A value for a message, shortened.
pub(crate) fn show(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
