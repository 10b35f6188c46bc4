//! The variables that a layer asks for.

use std::ops::Range;

use serde_json::Value;

use super::Weight;
use crate::formats::FormatError;
use crate::formats::keras::config::Options;

/// A variable of a layer.
#[derive(Clone, Debug)]
pub struct VariableSpec {
    /// Where the file holds it, below the layer's folder: `vars/0`, `cell/vars/1`.
    pub path: String,
    /// Its name below the layer's: `kernel`, `lstm_cell/recurrent_kernel`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its first value.
    pub initial: Initial,
    /// Elements that are 1 whatever the initializer gives: the bias of a forget gate.
    pub ones: Range<usize>,
    /// What training does with it; its initializer is not read from here.
    pub weight: Weight,
    /// Whether the part of the layer that it belongs to is trained, where that is not for the layer
    /// to say.
    pub trainable: Option<bool>,
}

/// How a variable starts.
#[derive(Clone, Debug)]
pub enum Initial {
    /// From the file; without one by this initializer.
    Drawn(Value),
    /// The same for a variable that no optimizer trains: a moving mean, a fixed table.
    Statistic(Value),
    /// A recurrent state: zeros, kept by a Session from run to run, in no file.
    State,
}

impl VariableSpec {
    /// The variable that lies at `vars/<index>`.
    pub fn new(index: usize, name: &str, shape: impl Into<Vec<usize>>, weight: &Weight) -> Self {
        VariableSpec {
            path: format!("vars/{index}"),
            name: name.to_owned(),
            shape: shape.into(),
            initial: Initial::Drawn(weight.initial.clone()),
            ones: 0..0,
            weight: weight.clone(),
            trainable: None,
        }
    }

    /// The same, of a part of the layer that says for itself whether it is trained.
    pub fn trained(self, trainable: bool) -> Self {
        VariableSpec { trainable: Some(trainable), ..self }
    }

    /// The variable that lies at `vars/<index>` and that no optimizer trains.
    pub fn statistic(
        index: usize,
        name: &str,
        shape: impl Into<Vec<usize>>,
        initial: &Value,
    ) -> Self {
        let initial_value = Initial::Statistic(initial.clone());
        VariableSpec {
            initial: initial_value,
            ..Self::new(index, name, shape, &Weight::plain(initial))
        }
    }

    /// A recurrent state.
    pub fn state(name: &str, shape: impl Into<Vec<usize>>) -> Self {
        VariableSpec {
            initial: Initial::State,
            ..Self::new(0, name, shape, &Weight::plain(&Value::Null))
        }
    }

    /// The same below a part of the layer: `path` in the file, `name` in names.
    pub fn below(self, path: &str, name: &str) -> Self {
        VariableSpec {
            path: format!("{path}/{}", self.path),
            name: format!("{name}/{}", self.name),
            ..self
        }
    }
}

/// The initializer in `option`, or Keras's default.
///
/// # Errors
/// If it is a custom object, or no object at all.
pub fn initial(options: &Options<'_>, option: &str, default: &str) -> Result<Value, FormatError> {
    options.optional_object(option)?;
    Ok(options.value(option).cloned().unwrap_or_else(|| Value::from(default)))
}

/// A layer's width, such as `units`: at least 1, and small enough that sizes made of it are sizes.
///
/// # Errors
/// If it is anything else.
pub fn width(options: &Options<'_>, option: &str) -> Result<usize, FormatError> {
    const LARGEST: usize = 1 << 40;
    let size = options.size(option)?;
    match size <= LARGEST {
        true => Ok(size),
        false => Err(options.bad(option, format!("an integer from 1 to {LARGEST}"))),
    }
}
