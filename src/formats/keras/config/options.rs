//! A layer's options, read by name; what is left over is refused.

use std::cell::RefCell;
use std::collections::HashSet;

use serde_json::{Map, Value};

#[cfg(test)]
use super::record;
use super::{LayerConfig, LayerKind};
use crate::formats::FormatError;
use crate::formats::keras::json;

/// A reader of a layer's options. Every option must be read or ignored by name before
/// [`Options::finish`], so that none goes unheeded.
#[derive(Debug)]
pub struct Options<'a> {
    layer: &'a str,
    class: &'a str,
    values: &'a Map<String, Value>,
    read: RefCell<HashSet<&'a str>>,
    #[cfg(test)]
    operator: bool,
}

/// An activation function.
#[derive(Clone, Debug)]
pub enum Activation {
    /// One of Keras's functions by name, such as `relu`; none is `linear`.
    Function(String),
    /// A layer that serves as one, such as `LeakyReLU`.
    Layer(Box<LayerConfig>),
}

/// A serialized object other than a layer: an initializer, a regularizer, a constraint, a loss.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectConfig {
    /// The class, or the name that stands for object and defaults, such as `glorot_uniform`.
    pub class_name: String,
    /// Its options.
    pub config: Map<String, Value>,
}

impl<'a> Options<'a> {
    pub(super) fn new(
        layer: &'a str,
        class: &'a str,
        values: &'a Map<String, Value>,
        read: &[&'a str],
    ) -> Options<'a> {
        Options {
            layer,
            class,
            values,
            read: RefCell::new(read.iter().copied().collect()),
            #[cfg(test)]
            operator: false,
        }
    }

    /// Whether the class is an operator's, several of which are called as layers are.
    #[cfg(test)]
    pub(super) fn of_operator(self, operator: bool) -> Options<'a> {
        Options { operator, ..self }
    }

    /// The value as it stands; null counts as absent. Marks the option as read.
    pub fn value(&self, option: &str) -> Option<&'a Value> {
        #[cfg(test)]
        self.note(option, record::Use::Honoured);
        self.mark(option)
    }

    fn mark(&self, option: &str) -> Option<&'a Value> {
        let (key, value) = self.values.get_key_value(option)?;
        self.read.borrow_mut().insert(key);
        Some(value).filter(|value| !value.is_null())
    }

    #[cfg(test)]
    fn note(&self, option: &str, found: record::Use) {
        if !self.operator && self.values.contains_key(option) {
            record::note(self.class, option, found);
        }
    }

    /// An error that says what the option's value should be.
    pub fn bad(&self, option: &str, expected: impl Into<String>) -> FormatError {
        match self.values.get(option) {
            None => FormatError::MissingOption {
                layer: self.layer.to_owned(),
                class: self.class.to_owned(),
                option: option.to_owned(),
                expected: expected.into(),
            },
            Some(value) => FormatError::BadOption {
                layer: self.layer.to_owned(),
                option: option.to_owned(),
                value: json::show(value),
                expected: expected.into(),
            },
        }
    }

    /// An error that says that Keras allows the option's value and this crate does not honour it.
    pub fn unsupported(&self, option: &str, hint: impl Into<String>) -> FormatError {
        FormatError::UnsupportedOption {
            layer: self.layer.to_owned(),
            option: option.to_owned(),
            value: json::show(self.values.get(option).unwrap_or(&Value::Null)),
            hint: hint.into(),
        }
    }

    fn read<T>(
        &self,
        option: &str,
        expected: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FormatError> {
        let Some(value) = self.value(option) else { return Ok(None) };
        convert(value).map(Some).ok_or_else(|| self.bad(option, expected))
    }

    /// A count, or none where it is null or absent.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn optional_usize(&self, option: &str) -> Result<Option<usize>, FormatError> {
        self.read(option, "an integer of 0 or more", whole)
    }

    /// A count that must be there.
    ///
    /// # Errors
    /// If it is absent or no count.
    pub fn usize(&self, option: &str) -> Result<usize, FormatError> {
        self.optional_usize(option)?.ok_or_else(|| self.bad(option, "an integer of 0 or more"))
    }

    /// A count of at least 1 that must be there, such as `units`.
    ///
    /// # Errors
    /// If it is absent, 0 or no count.
    pub fn size(&self, option: &str) -> Result<usize, FormatError> {
        let size = self.optional_usize(option)?.filter(|&size| size > 0);
        size.ok_or_else(|| self.bad(option, "an integer of 1 or more"))
    }

    /// A count with a default.
    ///
    /// # Errors
    /// If it is no count.
    pub fn usize_or(&self, option: &str, default: usize) -> Result<usize, FormatError> {
        Ok(self.optional_usize(option)?.unwrap_or(default))
    }

    /// An integer, or none where it is null or absent.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn optional_i64(&self, option: &str) -> Result<Option<i64>, FormatError> {
        self.read(option, "an integer", Value::as_i64)
    }

    /// An integer with a default.
    ///
    /// # Errors
    /// If it is no integer.
    pub fn i64_or(&self, option: &str, default: i64) -> Result<i64, FormatError> {
        Ok(self.optional_i64(option)?.unwrap_or(default))
    }

    /// A number, or none where it is null or absent. Python's NaN and infinities are numbers.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn optional_f64(&self, option: &str) -> Result<Option<f64>, FormatError> {
        self.read(option, "a number", json::number)
    }

    /// A number with a default.
    ///
    /// # Errors
    /// If it is no number.
    pub fn f64_or(&self, option: &str, default: f64) -> Result<f64, FormatError> {
        Ok(self.optional_f64(option)?.unwrap_or(default))
    }

    /// A rate in `[0, 1)` or `[0, 1]`-like range that includes both ends, such as `dropout`.
    ///
    /// # Errors
    /// If it is no number from 0 to 1.
    pub fn rate_or(&self, option: &str, default: f64) -> Result<f64, FormatError> {
        let rate = self.f64_or(option, default)?;
        if (0.0..=1.0).contains(&rate) {
            Ok(rate)
        } else {
            Err(self.bad(option, "a number from 0 to 1"))
        }
    }

    /// A truth value with a default.
    ///
    /// # Errors
    /// If it is no truth value.
    pub fn bool_or(&self, option: &str, default: bool) -> Result<bool, FormatError> {
        Ok(self.read(option, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// A text, or none where it is null or absent.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn optional_str(&self, option: &str) -> Result<Option<&'a str>, FormatError> {
        self.read(option, "a text", Value::as_str)
    }

    /// One of a few texts, with a default.
    ///
    /// # Errors
    /// If it is none of `allowed`.
    pub fn choice<'b>(
        &self,
        option: &str,
        default: &'b str,
        allowed: &[&'b str],
    ) -> Result<&'b str, FormatError> {
        let Some(value) = self.value(option) else { return Ok(default) };
        let found = allowed.iter().copied().find(|allowed| value.as_str() == Some(allowed));
        found.ok_or_else(|| self.bad(option, format!("one of {}", allowed.join(", "))))
    }

    /// Counts: a list, or one count alone; none where it is null or absent.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn optional_usizes(&self, option: &str) -> Result<Option<Vec<usize>>, FormatError> {
        self.read(option, "an integer of 0 or more, or a list of such", |value| {
            one_or_more(value, whole)
        })
    }

    /// Integers such as axes: a list, or one alone; none where it is null or absent.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn optional_i64s(&self, option: &str) -> Result<Option<Vec<i64>>, FormatError> {
        self.read(option, "an integer or a list of integers", |value| {
            one_or_more(value, Value::as_i64)
        })
    }

    /// The single size of a one-dimensional layer, saved as `5` or `[5]`, with a default.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn size_1d_or(&self, option: &str, default: usize) -> Result<usize, FormatError> {
        match self.optional_usizes(option)?.as_deref() {
            None => Ok(default),
            Some([size]) if *size > 0 => Ok(*size),
            Some(_) => Err(self.bad(option, "one integer of 1 or more")),
        }
    }

    /// A shape with null for open dimensions; none where it is null or absent.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn optional_shape(&self, option: &str) -> Result<Option<Vec<Option<usize>>>, FormatError> {
        self.read(option, "a list of integers or null", json::shape)
    }

    /// Texts, such as a vocabulary; none where it is null or absent.
    ///
    /// # Errors
    /// If it is no list of texts.
    pub fn optional_texts(&self, option: &str) -> Result<Option<Vec<String>>, FormatError> {
        self.read(option, "a list of texts", |value| {
            value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// Numbers; none where it is null or absent.
    ///
    /// # Errors
    /// If it is no list of numbers.
    pub fn optional_f64s(&self, option: &str) -> Result<Option<Vec<f64>>, FormatError> {
        self.read(option, "a list of numbers", |value| {
            value.as_array()?.iter().map(json::number).collect()
        })
    }

    /// An activation with a default; null is `linear`, as in Keras.
    ///
    /// # Errors
    /// If it is a custom function or no activation at all. Whether a name is known is for the
    /// lowering to say.
    pub fn activation_or(&self, option: &str, default: &str) -> Result<Activation, FormatError> {
        let name = |name: &str| Ok(Activation::Function(name.to_owned()));
        let custom = || self.unsupported(option, "use one of Keras's own activations");
        match self.values.get(option) {
            None => name(default),
            Some(_) => match self.value(option) {
                None => name("linear"),
                Some(Value::String(text)) if text.contains('>') => Err(custom()),
                Some(Value::String(text)) => name(text),
                Some(object)
                    if object.get("class_name").and_then(Value::as_str) == Some("function") =>
                {
                    match object.get("config").and_then(Value::as_str) {
                        Some(function) if !function.contains('>') => name(function),
                        _ => Err(custom()),
                    }
                }
                Some(object) if object.is_object() => {
                    let layer = LayerConfig::parse(object, &self.place(option))?;
                    match layer.kind {
                        LayerKind::Layer => Ok(Activation::Layer(Box::new(layer))),
                        _ => Err(custom()),
                    }
                }
                Some(_) => Err(self.bad(option, "the name of an activation, or a layer")),
            },
        }
    }

    /// An initializer, regularizer, constraint or the like; a bare name stands for its defaults.
    /// None where it is null or absent.
    ///
    /// # Errors
    /// If it is a custom object, or no object at all.
    pub fn optional_object(&self, option: &str) -> Result<Option<ObjectConfig>, FormatError> {
        let Some(value) = self.value(option) else { return Ok(None) };
        let object = ObjectConfig::parse(value);
        let object = object.ok_or_else(|| self.bad(option, "a name, or class_name and config"))?;
        let registered = value.get("registered_name").and_then(Value::as_str).unwrap_or("");
        let no_module = value.get("module").is_some_and(Value::is_null);
        if no_module || registered.contains('>') || object.class_name.contains('>') {
            return Err(
                self.unsupported(option, "custom classes are not run; use one of Keras's own")
            );
        }
        Ok(Some(object))
    }

    /// A layer within this one, or none where it is null or absent.
    ///
    /// # Errors
    /// If it is no serialized layer.
    pub fn optional_layer(&self, option: &str) -> Result<Option<LayerConfig>, FormatError> {
        let Some(value) = self.value(option) else { return Ok(None) };
        LayerConfig::parse(value, &self.place(option)).map(Some)
    }

    /// A layer within this one.
    ///
    /// # Errors
    /// If it is absent or no serialized layer.
    pub fn layer(&self, option: &str) -> Result<LayerConfig, FormatError> {
        self.optional_layer(option)?.ok_or_else(|| self.bad(option, "a serialized layer"))
    }

    /// Layers within this one, such as stacked cells.
    ///
    /// # Errors
    /// If it is no list of serialized layers.
    pub fn layers(&self, option: &str) -> Result<Vec<LayerConfig>, FormatError> {
        let Some(Value::Array(layers)) = self.value(option) else {
            return Err(self.bad(option, "a list of serialized layers"));
        };
        layers.iter().map(|layer| LayerConfig::parse(layer, &self.place(option))).collect()
    }

    /// The value as it stands of an option that acts in training alone; null counts as absent.
    /// Marks the option as read.
    pub fn for_training(&self, option: &str) -> Option<&'a Value> {
        #[cfg(test)]
        self.note(option, record::Use::Training);
        self.mark(option)
    }

    /// Says of options that are read that they act in training alone.
    pub fn trains(&self, options: &[&str]) {
        for option in options {
            self.for_training(option);
        }
    }

    /// Marks options as read that have no influence on results.
    pub fn ignore(&self, options: &[&str]) {
        options.iter().for_each(|option| {
            self.mark(option);
            #[cfg(test)]
            self.note(option, record::Use::Ignored);
        });
    }

    /// Accepts an option only where it is null, absent or `value`.
    ///
    /// # Errors
    /// If it has another value, with `hint` saying what to do.
    pub fn only(&self, option: &str, value: &Value, hint: &str) -> Result<(), FormatError> {
        let found = self.mark(option);
        #[cfg(test)]
        self.note(option, record::Use::Only);
        match found {
            Some(found) if found != value => Err(self.unsupported(option, hint)),
            _ => Ok(()),
        }
    }

    /// Refuses the first option that was neither read nor ignored. A `quantization_config` of null
    /// says that the layer is not quantized, and is not an option of any layer's own.
    ///
    /// # Errors
    /// If there is such an option.
    pub fn finish(self) -> Result<(), FormatError> {
        let read = self.read.into_inner();
        let not_quantized =
            |key: &str, value: &Value| key == "quantization_config" && value.is_null();
        let unread = |(key, value): &(&String, &Value)| {
            !read.contains(key.as_str()) && !not_quantized(key, value)
        };
        let left = self.values.iter().find(unread);
        match left {
            None => Ok(()),
            Some((option, value)) => Err(FormatError::UnknownOption {
                layer: self.layer.to_owned(),
                class: self.class.to_owned(),
                option: json::shorten(option),
                value: json::show(value),
            }),
        }
    }

    fn place(&self, option: &str) -> String {
        format!("layer '{}', option '{option}'", self.layer)
    }
}

impl ObjectConfig {
    /// Reads a name, or an object of `class_name` and `config`.
    pub fn parse(value: &Value) -> Option<ObjectConfig> {
        if let Value::String(name) = value {
            return Some(ObjectConfig { class_name: name.clone(), config: Map::new() });
        }
        let class_name = value.get("class_name")?.as_str()?;
        match value.get("config") {
            Some(Value::Object(config)) => {
                Some(ObjectConfig { class_name: class_name.to_owned(), config: config.clone() })
            }
            // A function: its name is the config.
            Some(Value::String(function)) if class_name == "function" => {
                Some(ObjectConfig { class_name: function.clone(), config: Map::new() })
            }
            None | Some(Value::Null) => {
                Some(ObjectConfig { class_name: class_name.to_owned(), config: Map::new() })
            }
            Some(_) => None,
        }
    }
}

/// A count; Python also writes whole numbers as `5.0`.
fn whole(value: &Value) -> Option<usize> {
    match value.as_u64() {
        Some(count) => usize::try_from(count).ok(),
        None => {
            let number = value.as_f64()?;
            // Below 2^53 every whole number is exact.
            ((0.0..9.0e15).contains(&number) && number.fract() == 0.0).then_some(number as usize)
        }
    }
}

fn one_or_more<'a, T>(value: &'a Value, one: impl Fn(&'a Value) -> Option<T>) -> Option<Vec<T>> {
    match value {
        Value::Array(items) => items.iter().map(one).collect(),
        single => one(single).map(|single| vec![single]),
    }
}
