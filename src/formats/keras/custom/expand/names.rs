//! What names in placeholders stand for.

use std::cell::Cell;

use serde_json::{Map, Value};

use crate::formats::keras::custom::expr::Names;
use crate::formats::keras::custom::template::Template;

/// The sizes of a call's inputs by name, in the order of the arguments; open ones are `None`.
pub type Sizes = Vec<(String, Vec<Option<usize>>)>;

/// The config of an object, the defaults of its class, and the indices of repetitions.
pub struct Config<'a> {
    template: &'a Template,
    config: &'a Map<String, Value>,
    indices: Vec<(String, i64)>,
    sizes: Option<&'a Sizes>,
    asked: Cell<bool>,
}

impl<'a> Config<'a> {
    /// Without `sizes` each size is 1 until the first call.
    pub fn new(
        template: &'a Template,
        config: &'a Map<String, Value>,
        sizes: Option<&'a Sizes>,
    ) -> Config<'a> {
        Config { template, config, indices: Vec::new(), sizes, asked: Cell::new(false) }
    }

    /// Whether a placeholder used a size.
    pub fn asked_for_sizes(&self) -> bool {
        self.asked.get()
    }

    /// Forgets whether a placeholder used a size, and says it.
    pub fn forget(&self) -> bool {
        self.asked.replace(false)
    }

    /// Whether one did since [`Config::forget`], whose answer counts again.
    pub fn recall(&self, before: bool) -> bool {
        let since = self.asked.get();
        self.asked.set(before || since);
        since
    }

    /// Begins a repetition whose index is called `name`.
    pub fn begin(&mut self, name: &str) {
        self.indices.push((name.to_owned(), 0));
    }

    /// Sets the index of the innermost repetition.
    pub fn set(&mut self, index: i64) {
        if let Some(innermost) = self.indices.last_mut() {
            innermost.1 = index;
        }
    }

    /// Ends the innermost repetition.
    pub fn end(&mut self) {
        self.indices.pop();
    }

    /// Whether a name stands for something.
    pub fn holds(&self, name: &str) -> bool {
        self.value(name).is_some()
    }
}

impl Names for Config<'_> {
    fn value(&self, name: &str) -> Option<Value> {
        if let Some((_, index)) = self.indices.iter().rev().find(|(index, _)| index == name) {
            return Some(Value::from(*index));
        }
        self.config.get(name).or_else(|| self.template.defaults.get(name)).cloned()
    }

    fn known(&self) -> String {
        let own = ["trainable", "dtype"];
        let mut names: Vec<&str> =
            self.config.keys().map(String::as_str).filter(|name| !own.contains(name)).collect();
        names.extend(self.template.defaults.keys().map(String::as_str));
        names.extend(self.indices.iter().map(|(index, _)| index.as_str()));
        crate::formats::keras::json::shorten(&names.join(", "))
    }

    fn size(&self, input: Option<&str>, axis: i64) -> Result<i64, String> {
        self.asked.set(true);
        let Some(sizes) = self.sizes else { return Ok(1) };
        let found = match input {
            None => sizes.first(),
            Some(name) => sizes.iter().find(|(known, _)| known == name),
        };
        let (name, shape) =
            found.ok_or_else(|| "there is no such input, or it is no tensor".to_owned())?;
        let rank = shape.len() as i64;
        let position = if axis < 0 { axis.checked_add(rank) } else { Some(axis) };
        let size = position.and_then(|axis| shape.get(usize::try_from(axis).ok()?));
        match size {
            Some(Some(size)) => i64::try_from(*size).map_err(|_| "it is too large".to_owned()),
            Some(None) => Err(format!("the size of that axis of '{name}' is open")),
            None => Err(format!("'{name}' has {rank} axes")),
        }
    }
}
