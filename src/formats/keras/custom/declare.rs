//! What a template declares: the arguments of `call`, and the class's own weights.

use serde_json::{Map, Value};

use super::template::Template;
use crate::formats::FormatError;
use crate::formats::keras::json;
use crate::formats::keras::layers::keras_dtype;
use crate::graph::DType;

/// An argument of the class's `call`.
#[derive(Clone, Debug, PartialEq)]
pub struct InputDecl {
    /// Its name.
    pub name: String,
    /// Whether a call may leave it out; it is then `None`.
    pub optional: bool,
    /// The shape with the batch, for a whole model.
    pub shape: Option<Vec<Option<usize>>>,
    /// The type of its elements, for a whole model.
    pub dtype: Option<DType>,
}

/// A weight of the class itself.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightDecl {
    /// Its name, by which the steps refer to it.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its initializer.
    pub initializer: Value,
    /// Whether it is trained.
    pub trainable: bool,
}

impl InputDecl {
    /// Whether Keras fills it in with the mask of another argument.
    pub fn is_mask(&self) -> bool {
        self.name == "mask" || self.name.ends_with("_mask")
    }

    /// The arguments, from their filled form: names, or objects; one `inputs` where there is none.
    pub(super) fn list(template: &Template, value: &Value) -> Result<Vec<InputDecl>, FormatError> {
        let inputs = match value {
            Value::Null => vec![InputDecl::named("inputs")],
            Value::Array(list) if !list.is_empty() => list
                .iter()
                .map(|entry| InputDecl::parse(template, entry))
                .collect::<Result<Vec<_>, _>>()?,
            other => return Err(wrong(template, "inputs", "a list of arguments", other)),
        };
        for (index, input) in inputs.iter().enumerate() {
            unique(template, &input.name, inputs.iter().take(index).map(|other| &other.name))?;
        }
        Ok(inputs)
    }

    fn named(name: &str) -> InputDecl {
        InputDecl { name: name.to_owned(), optional: false, shape: None, dtype: None }
    }

    fn parse(template: &Template, value: &Value) -> Result<InputDecl, FormatError> {
        if let Some(name) = value.as_str() {
            return Ok(InputDecl::named(identifier(template, "inputs", name)?));
        }
        let entries = object(template, "inputs", value, &["name", "optional", "shape", "dtype"])?;
        let name = text(template, "inputs", entries, "name")?;
        let shape = match entries.get("shape") {
            None | Some(Value::Null) => None,
            Some(shape) => Some(json::shape(shape).ok_or_else(|| {
                wrong(template, "inputs: shape", "sizes with the batch first, or null", shape)
            })?),
        };
        let dtype = match entries.get("dtype") {
            None | Some(Value::Null) => None,
            Some(dtype) => Some(dtype.as_str().and_then(keras_dtype).ok_or_else(|| {
                wrong(template, "inputs: dtype", "a type of Keras such as int32", dtype)
            })?),
        };
        let optional = flag(template, "inputs: optional", entries.get("optional"), false)?;
        Ok(InputDecl {
            name: identifier(template, "inputs", name)?.to_owned(),
            optional,
            shape,
            dtype,
        })
    }
}

impl WeightDecl {
    /// The weights, from their filled form. Keras lists trained ones first, whatever their order in
    /// the constructor.
    pub(super) fn list(
        template: &Template,
        values: &[Value],
    ) -> Result<Vec<WeightDecl>, FormatError> {
        let mut weights = values
            .iter()
            .map(|value| WeightDecl::parse(template, value))
            .collect::<Result<Vec<_>, _>>()?;
        for (index, weight) in weights.iter().enumerate() {
            unique(template, &weight.name, weights.iter().take(index).map(|other| &other.name))?;
        }
        weights.sort_by_key(|weight| !weight.trainable);
        Ok(weights)
    }

    fn parse(template: &Template, value: &Value) -> Result<WeightDecl, FormatError> {
        let known = ["name", "shape", "initializer", "trainable"];
        let entries = object(template, "weights", value, &known)?;
        let name = identifier(template, "weights", text(template, "weights", entries, "name")?)?;
        let shape = entries.get("shape").unwrap_or(&Value::Null);
        let sizes = shape.as_array().and_then(|sizes| {
            let size = |size: &Value| size.as_u64().and_then(|size| usize::try_from(size).ok());
            sizes.iter().map(size).collect::<Option<Vec<_>>>()
        });
        let place = format!("weight '{name}': shape");
        let sizes = sizes.ok_or_else(|| wrong(template, &place, "a list of sizes", shape))?;
        let initializer = entries.get("initializer").filter(|value| !value.is_null());
        let place = format!("weight '{name}': trainable");
        Ok(WeightDecl {
            name: name.to_owned(),
            shape: sizes,
            initializer: initializer.cloned().unwrap_or_else(|| "glorot_uniform".into()),
            trainable: flag(template, &place, entries.get("trainable"), true)?,
        })
    }
}

fn unique<'a>(
    template: &Template,
    name: &str,
    mut before: impl Iterator<Item = &'a String>,
) -> Result<(), FormatError> {
    match before.any(|other| other == name) {
        true => Err(template.problem(format!("two are called '{name}'"))),
        false => Ok(()),
    }
}

/// The error for a value of another form.
pub(super) fn wrong(
    template: &Template,
    place: &str,
    expected: &str,
    found: &Value,
) -> FormatError {
    template.problem(format!("{place}: expected {expected}, found {}", json::show(found)))
}

/// An object whose entries are all known.
pub(super) fn object<'a>(
    template: &Template,
    place: &str,
    value: &'a Value,
    known: &[&str],
) -> Result<&'a Map<String, Value>, FormatError> {
    let entries = value.as_object().ok_or_else(|| wrong(template, place, "an object", value))?;
    match entries.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(entries),
        Some(key) => {
            let key = json::shorten(key);
            Err(template.problem(format!("{place}: no entry is called '{key}'")))
        }
    }
}

/// A text that must be there.
pub(super) fn text<'a>(
    template: &Template,
    place: &str,
    entries: &'a Map<String, Value>,
    key: &str,
) -> Result<&'a str, FormatError> {
    let value = entries.get(key).unwrap_or(&Value::Null);
    value.as_str().ok_or_else(|| wrong(template, &format!("{place}: {key}"), "a text", value))
}

fn flag(
    template: &Template,
    place: &str,
    value: Option<&Value>,
    default: bool,
) -> Result<bool, FormatError> {
    match value {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(wrong(template, place, "true or false", other)),
    }
}

/// A name that steps can refer to.
pub(super) fn identifier<'a>(
    template: &Template,
    place: &str,
    name: &'a str,
) -> Result<&'a str, FormatError> {
    let proper = !name.is_empty()
        && name.len() <= 128
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '/'));
    match proper {
        true => Ok(name),
        false => {
            let found = Value::from(name);
            Err(wrong(template, place, "a name of letters, digits and underscores", &found))
        }
    }
}
