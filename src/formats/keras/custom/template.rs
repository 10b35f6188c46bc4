//! One template as it stands in the file, its form checked.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::expr::names_in;
use crate::formats::FormatError;
use crate::formats::keras::json;

/// What a template may hold.
const ENTRIES: [&str; 13] = [
    "class_name",
    "registered_name",
    "comment",
    "is_model",
    "defaults",
    "ignore",
    "inputs",
    "weights",
    "layers",
    "call",
    "outputs",
    "supports_masking",
    "output_mask",
];

/// What a class's constructor makes and what its `call` does, with placeholders.
#[derive(Debug)]
pub struct Template {
    /// The class in Python.
    pub class_name: String,
    /// The name that it was registered under, if the template is for that one alone.
    pub registered_name: Option<String>,
    /// Whether the class is a `keras.Model`, whose layers are stored by another rule.
    pub is_model: bool,
    /// Values of names that a config lacks.
    pub defaults: Map<String, Value>,
    /// Names of the config that have no effect on what is computed.
    pub ignore: Vec<String>,
    /// Names that placeholders use.
    pub mentions: HashSet<String>,
    /// The arguments of `call`.
    pub inputs: Value,
    /// The class's own weights.
    pub weights: Vec<Value>,
    /// Its layers.
    pub layers: Vec<Value>,
    /// What `call` does.
    pub call: Vec<Value>,
    /// What `call` gives; the last step's result where it is null.
    pub outputs: Value,
    /// Whether the mask of the first input goes to the output.
    pub supports_masking: bool,
    /// The value that is the output's mask.
    pub output_mask: Option<String>,
}

impl Template {
    /// Checks the form of a template.
    ///
    /// # Errors
    /// If an entry is unknown or of another form, or a placeholder cannot be read.
    pub fn parse(value: &Value) -> Result<Template, FormatError> {
        let name = value.get("class_name").and_then(Value::as_str);
        let (Some(entries), Some(class_name)) = (value.as_object(), name) else {
            return Err(FormatError::Malformed {
                place: "the file of templates".to_owned(),
                expected: "a template with class_name".to_owned(),
                found: json::show(value),
            });
        };
        let reader = Reader { class: class_name, entries };
        if let Some(key) = entries.keys().find(|key| !ENTRIES.contains(&key.as_str())) {
            return Err(reader.problem(format!("no entry is called '{}'", json::shorten(key))));
        }
        let mut names = Vec::new();
        for key in ["inputs", "weights", "layers", "call", "outputs", "output_mask"] {
            if let Some(part) = entries.get(key) {
                names_in(part, &mut names).map_err(|error| reader.problem(error.to_string()))?;
            }
        }
        let ignore = reader.list("ignore")?.into_iter().map(|name| match name {
            Value::String(name) => Ok(name),
            _ => Err(reader.problem("ignore: expected names")),
        });
        let template = Template {
            class_name: class_name.rsplit('>').next().unwrap_or(class_name).to_owned(),
            registered_name: reader
                .text("registered_name")?
                .or_else(|| class_name.contains('>').then(|| class_name.to_owned())),
            is_model: reader.flag("is_model")?,
            defaults: reader.object("defaults")?,
            ignore: ignore.collect::<Result<_, _>>()?,
            mentions: names.into_iter().collect(),
            inputs: entries.get("inputs").cloned().unwrap_or(Value::Null),
            weights: reader.list("weights")?,
            layers: reader.list("layers")?,
            call: reader.list("call")?,
            outputs: entries.get("outputs").cloned().unwrap_or(Value::Null),
            supports_masking: reader.flag("supports_masking")?,
            output_mask: reader.text("output_mask")?,
        };
        if template.call.is_empty() && template.outputs.is_null() {
            return Err(template.problem("`call` is missing: the steps of the class's `call`"));
        }
        Ok(template)
    }

    /// Whether both are for the same class.
    pub fn same_class(&self, other: &Template) -> bool {
        match (&self.registered_name, &other.registered_name) {
            (None, None) => self.class_name == other.class_name,
            (left, right) => left == right,
        }
    }

    /// The error that says what is wrong with this template.
    pub fn problem(&self, problem: impl Into<String>) -> FormatError {
        FormatError::Template { class: self.class_name.clone(), problem: problem.into() }
    }
}

/// Reads entries, and names the template in errors.
struct Reader<'a> {
    class: &'a str,
    entries: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn problem(&self, problem: impl Into<String>) -> FormatError {
        FormatError::Template { class: json::shorten(self.class), problem: problem.into() }
    }

    fn wrong(&self, key: &str, expected: &str, found: &Value) -> FormatError {
        self.problem(format!("{key}: expected {expected}, found {}", json::show(found)))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.entries.get(key).filter(|value| !value.is_null())
    }

    fn list(&self, key: &str) -> Result<Vec<Value>, FormatError> {
        match self.value(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list.clone()),
            Some(other) => Err(self.wrong(key, "a list", other)),
        }
    }

    fn object(&self, key: &str) -> Result<Map<String, Value>, FormatError> {
        match self.value(key) {
            None => Ok(Map::new()),
            Some(Value::Object(entries)) => Ok(entries.clone()),
            Some(other) => Err(self.wrong(key, "an object", other)),
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>, FormatError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(key, "a text", other)),
        }
    }

    fn flag(&self, key: &str) -> Result<bool, FormatError> {
        match self.value(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(key, "true or false", other)),
        }
    }
}
