//! Reading Keras's serialized objects: a class and its options, none of which is overlooked.

use serde_json::{Map, Value};

/// Why a serialized schedule or metric is not taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value is no serialized object.
    #[error("{kind} {value} is neither a name nor an object with class_name and config")]
    NotAnObject {
        /// What was to be read, such as `metric`.
        kind: &'static str,
        /// The value, as JSON.
        value: String,
    },
    /// The class is not known here.
    #[error("{kind} '{name}' is not supported; supported are {known}")]
    Unknown {
        /// What was to be read, such as `metric`.
        kind: &'static str,
        /// The class or name asked for.
        name: String,
        /// The names that are known.
        known: String,
    },
    /// An option is absent that has no default.
    #[error("{class} needs the option '{option}'")]
    Missing {
        /// The class.
        class: String,
        /// The option.
        option: &'static str,
    },
    /// An option has a value that is not honoured.
    #[error("option '{option}' of {class} is {value}; supported is {expected}")]
    Option {
        /// The class.
        class: String,
        /// The option.
        option: String,
        /// Its value, as JSON.
        value: String,
        /// What would be taken.
        expected: &'static str,
    },
    /// The class has no such option.
    #[error("{class} has no option '{option}'; remove it, or read the file with a newer version")]
    UnknownOption {
        /// The class.
        class: String,
        /// The option.
        option: String,
    },
}

/// A class and the options that are still to be read.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// The class, such as `ExponentialDecay`; for a serialized function its name.
    pub(super) class: String,
    options: Map<String, Value>,
}

impl Config {
    /// Reads `{"class_name": …, "config": {…}}`, or a function,
    /// `{"class_name": "function", "config": "mean_squared_error"}`.
    pub(super) fn parse(kind: &'static str, value: &Value) -> Result<Config, ConfigError> {
        let bad = || ConfigError::NotAnObject { kind, value: value.to_string() };
        let class = value.get("class_name").and_then(Value::as_str).ok_or_else(bad)?;
        match value.get("config") {
            Some(Value::Object(options)) => {
                Ok(Config { class: class.to_owned(), options: options.clone() })
            }
            Some(Value::String(name)) if class == "function" => Ok(Config::named(name)),
            None | Some(Value::Null) => Ok(Config::named(class)),
            Some(_) => Err(bad()),
        }
    }

    /// A class whose options all have their defaults.
    pub(super) fn named(class: &str) -> Config {
        Config { class: class.to_owned(), options: Map::new() }
    }

    /// The value of an option, unless it is absent or null.
    pub(super) fn take(&mut self, option: &str) -> Option<Value> {
        self.options.shift_remove(option).filter(|value| !value.is_null())
    }

    /// An option that is refused, with what would be taken.
    pub(super) fn refuse(
        &self,
        option: &str,
        value: impl Into<Value>,
        expected: &'static str,
    ) -> ConfigError {
        let (class, option) = (self.class.clone(), option.to_owned());
        ConfigError::Option { class, option, value: value.into().to_string(), expected }
    }

    /// A number, if the option is given.
    pub(super) fn number(&mut self, option: &'static str) -> Result<Option<f64>, ConfigError> {
        let Some(value) = self.take(option) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.refuse(option, value, "a number"))
    }

    /// A number that has no default.
    pub(super) fn required(&mut self, option: &'static str) -> Result<f64, ConfigError> {
        let missing = ConfigError::Missing { class: self.class.clone(), option };
        self.number(option)?.ok_or(missing)
    }

    /// A truth value; false by default.
    pub(super) fn flag(&mut self, option: &'static str) -> Result<bool, ConfigError> {
        let Some(value) = self.take(option) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.refuse(option, value, "true or false"))
    }

    /// A size, if the option is given.
    pub(super) fn size(&mut self, option: &'static str) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.take(option) else { return Ok(None) };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.map(Some).ok_or_else(|| self.refuse(option, value, "an integer that is not negative"))
    }

    /// Text, if the option is given.
    pub(super) fn text(&mut self, option: &'static str) -> Result<Option<String>, ConfigError> {
        match self.take(option) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.refuse(option, value, "text")),
        }
    }

    /// A list of numbers, or one number, if the option is given.
    pub(super) fn numbers(
        &mut self,
        option: &'static str,
    ) -> Result<Option<Vec<f64>>, ConfigError> {
        let Some(value) = self.take(option) else { return Ok(None) };
        let numbers = match &value {
            Value::Array(values) => values.iter().map(Value::as_f64).collect(),
            value => value.as_f64().map(|number| vec![number]),
        };
        numbers.map(Some).ok_or_else(|| self.refuse(option, value, "a list of numbers"))
    }

    /// Checks that the type of the results is `float32`, the one that there is.
    pub(super) fn float32(&mut self) -> Result<(), ConfigError> {
        let Some(value) = self.take("dtype") else { return Ok(()) };
        let policy = value.get("config").and_then(|config| config.get("name"));
        match policy.unwrap_or(&value).as_str() {
            Some("float32") => Ok(()),
            _ => Err(self.refuse("dtype", value, "float32")),
        }
    }

    /// Refuses what has not been read.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        match self.options.into_iter().next() {
            None => Ok(()),
            Some((option, _)) => Err(ConfigError::UnknownOption { class: self.class, option }),
        }
    }
}
