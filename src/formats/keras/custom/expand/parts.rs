//! The layers and steps of a template, repetitions and conditions resolved.

use serde_json::{Map, Value};

use super::{Expansion, Part, Step, StepKind, attach, identifier, take, wrong};
use crate::formats::FormatError;
use crate::formats::keras::config::{CallArg, CallNode, LayerConfig};
use crate::formats::keras::custom::index;
use crate::formats::keras::custom::paths::Attribute;
use crate::formats::keras::json;
use crate::formats::keras::legacy::upgrade;

/// Repetitions within repetitions.
const MAX_REPEATS: usize = 8;
/// What a step is besides the entries that say what it calls.
const OF_STEPS: [&str; 3] = ["args", "kwargs", "to"];

impl Expansion<'_> {
    /// Makes the layers of a list, in the order of construction.
    pub(super) fn layers(
        &mut self,
        entries: &[Value],
        depth: usize,
        into: &mut Vec<(Vec<Attribute>, LayerConfig)>,
    ) -> Result<(), FormatError> {
        for entry in entries {
            if entry.get("repeat").is_some() {
                self.repeat(entry, "layers", depth, |this, body| {
                    this.layers(body, depth + 1, into)
                })?;
                continue;
            }
            self.count_part()?;
            let filled = self.fill(entry)?;
            let Value::Object(mut entries) = filled else {
                return Err(wrong(self.template, "layers", "an object", entry));
            };
            let Some(later) = self.applies(&mut entries)? else { continue };
            if !later.is_empty() {
                return Err(self.problem("a layer's `if` depends on the config alone"));
            }
            into.push(self.layer(entries)?);
        }
        Ok(())
    }

    fn layer(
        &mut self,
        mut entries: Map<String, Value>,
    ) -> Result<(Vec<Attribute>, LayerConfig), FormatError> {
        let paths = match take(&mut entries, "path") {
            Some(Value::String(path)) => vec![path],
            Some(Value::Array(paths)) if !paths.is_empty() => paths
                .iter()
                .map(|path| path.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| self.problem("layers: path: expected texts"))?,
            other => {
                let found = other.unwrap_or(Value::Null);
                return Err(wrong(self.template, "layers: path", "the layer's attribute", &found));
            }
        };
        let attributes = paths
            .iter()
            .map(|path| {
                Attribute::parse(path).ok_or_else(|| {
                    let expected = "an attribute such as `att`, `blocks/0` or `heads/key`";
                    wrong(self.template, "layers: path", expected, &Value::from(path.as_str()))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let name = paths.into_iter().next().unwrap_or_default();
        let mut value = Value::Object(entries);
        if self.keras2 {
            upgrade::of_keras2(&mut value);
        }
        let place = format!("template '{}', layer '{name}'", self.template.class_name);
        let mut layer = LayerConfig::parse_nameless(&mut value, &place)?;
        layer.name = name;
        attach(
            &mut layer,
            self.registry,
            self.work,
            Some(self.depth.map_or(0, |depth| depth + 1)),
        )?;
        Ok((attributes, layer))
    }

    /// Makes the steps of a list.
    pub(super) fn steps(
        &mut self,
        entries: &[Value],
        depth: usize,
        layers: &[Part],
        into: &mut Vec<Step>,
    ) -> Result<(), FormatError> {
        for entry in entries {
            if entry.get("repeat").is_some() {
                self.repeat(entry, "call", depth, |this, body| {
                    this.steps(body, depth + 1, layers, into)
                })?;
                continue;
            }
            self.count_part()?;
            let filled = self.fill(entry)?;
            let Value::Object(mut entries) = filled else {
                return Err(wrong(self.template, "call", "an object", entry));
            };
            let Some(conditions) = self.applies(&mut entries)? else { continue };
            into.push(self.step(entries, conditions, layers)?);
        }
        Ok(())
    }

    fn step(
        &mut self,
        mut entries: Map<String, Value>,
        conditions: Vec<(CallArg, bool)>,
        layers: &[Part],
    ) -> Result<Step, FormatError> {
        let to = match take(&mut entries, "to") {
            None => None,
            Some(Value::String(to)) => Some(identifier(self.template, "call: to", &to)?.to_owned()),
            Some(other) => return Err(wrong(self.template, "call: to", "a name", &other)),
        };
        let place = format!("template '{}': call", self.template.class_name);
        let mut node = Map::new();
        for key in ["args", "kwargs"] {
            if let Some(value) = take(&mut entries, key) {
                node.insert(key.to_owned(), value);
            }
        }
        let CallNode { mut args, kwargs } = CallNode::parse(&Value::Object(node), &place)?;
        // A value may be null.
        let value = entries.shift_remove("value");
        let (layer, op) = (take(&mut entries, "layer"), take(&mut entries, "op"));
        let options = take(&mut entries, "config");
        if let Some(key) = entries.keys().next() {
            let key = json::shorten(key);
            return Err(self.problem(format!("call: no entry of a step is called '{key}'")));
        }
        let nameless = "call: a step without a layer needs a name in `to`";
        let needs_name = || self.problem(nameless);
        let (kind, to) = match (layer, op, value) {
            (Some(Value::String(path)), None, None) if options.is_none() => {
                let position = layers.iter().position(|part| part.config.name == path);
                let position = position
                    .ok_or_else(|| self.problem(format!("call: no layer has the path '{path}'")))?;
                (StepKind::Layer(position), to.unwrap_or(path))
            }
            (None, Some(Value::String(op)), None) => {
                let to = to.ok_or_else(needs_name)?;
                if op == "GetItem" {
                    self.read_index(&mut args)?;
                }
                (self.operator(&op, options, &to)?, to)
            }
            (None, None, Some(value)) if args.is_empty() && kwargs.is_empty() => {
                args.push(CallArg::parse(&value, &place)?);
                (StepKind::Value, to.ok_or_else(needs_name)?)
            }
            _ => {
                let known = OF_STEPS.join(", ");
                return Err(self.problem(format!(
                    "call: a step has one of layer, op (with config) and value, besides {known}"
                )));
            }
        };
        Ok(Step { kind, args, kwargs, to, conditions })
    }

    fn operator(
        &self,
        op: &str,
        options: Option<Value>,
        name: &str,
    ) -> Result<StepKind, FormatError> {
        if op == "Arange" {
            return match options {
                None => Ok(StepKind::Arange),
                Some(_) => Err(self.problem("call: Arange takes args and no config")),
            };
        }
        let config = options.unwrap_or_else(|| Value::Object(Map::new()));
        let mut layer = Map::new();
        layer.insert("module".to_owned(), "keras.ops".into());
        layer.insert("class_name".to_owned(), op.into());
        layer.insert("name".to_owned(), name.into());
        layer.insert("config".to_owned(), config);
        let place = format!("template '{}', operator '{name}'", self.template.class_name);
        let layer = LayerConfig::parse(&Value::Object(layer), &place)?;
        Ok(StepKind::Operator(Box::new(layer)))
    }

    /// An index as a text stands for what Python makes of it.
    fn read_index(&self, args: &mut [CallArg]) -> Result<(), FormatError> {
        if let Some(CallArg::Const(Value::String(text))) = args.get(1)
            && !text.starts_with('@')
        {
            let index = index::parse(text).ok_or_else(|| {
                let expected = "an index such as `[:, None, 0]`";
                wrong(self.template, "call: GetItem", expected, &Value::from(text.as_str()))
            })?;
            args[1] = index;
        }
        Ok(())
    }

    /// Takes `if`, `unless` and `comment` out of an entry. Nothing where the config says that it is
    /// left out; else the conditions on values of a call.
    #[allow(clippy::type_complexity)]
    pub(super) fn applies(
        &self,
        entries: &mut Map<String, Value>,
    ) -> Result<Option<Vec<(CallArg, bool)>>, FormatError> {
        take(entries, "comment");
        let mut later = Vec::new();
        for (key, wanted) in [("if", true), ("unless", false)] {
            let holds = match entries.shift_remove(key) {
                None => continue,
                Some(Value::Null) => false,
                Some(Value::Bool(flag)) => flag,
                Some(Value::Number(number)) => number.as_f64() != Some(0.0),
                Some(Value::String(text)) if text.starts_with('@') => {
                    later.push((CallArg::Const(text.into()), wanted));
                    continue;
                }
                Some(other) => {
                    let expected = "true, false, a number, null, or a value such as `@mask`";
                    return Err(wrong(self.template, key, expected, &other));
                }
            };
            if holds != wanted {
                return Ok(None);
            }
        }
        Ok(Some(later))
    }

    /// Makes the body of a repetition once for each index.
    fn repeat(
        &mut self,
        entry: &Value,
        body: &str,
        depth: usize,
        mut make: impl FnMut(&mut Self, &[Value]) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        if depth >= MAX_REPEATS {
            return Err(
                self.problem(format!("repetitions are nested more than {MAX_REPEATS} deep"))
            );
        }
        let known = ["repeat", "index", "comment", body];
        let unknown =
            entry.as_object().and_then(|e| e.keys().find(|k| !known.contains(&k.as_str())));
        if let Some(key) = unknown {
            let key = json::shorten(key);
            return Err(self.problem(format!("no entry of a repetition is called '{key}'")));
        }
        let asked = self.config.forget();
        let count = self.fill(entry.get("repeat").unwrap_or(&Value::Null))?;
        if self.config.recall(asked) {
            return Err(self.problem("repeat: a count cannot depend on the sizes of inputs"));
        }
        let count = count.as_u64().ok_or_else(|| {
            wrong(self.template, "repeat", "a count, such as `{num_layers}`", &count)
        })?;
        let index = match entry.get("index") {
            None => "i",
            Some(Value::String(index)) => index,
            Some(other) => return Err(wrong(self.template, "index", "a name", other)),
        };
        if self.config.holds(index) {
            let problem = format!("index: the name '{index}' is taken; choose another one");
            return Err(self.problem(problem));
        }
        let Some(Value::Array(entries)) = entry.get(body) else {
            return Err(self.problem(format!("a repetition holds a list `{body}`")));
        };
        self.config.begin(index);
        for position in 0..count {
            self.count_part()?;
            self.config.set(i64::try_from(position).unwrap_or(i64::MAX));
            make(self, entries)?;
        }
        self.config.end();
        Ok(())
    }
}
