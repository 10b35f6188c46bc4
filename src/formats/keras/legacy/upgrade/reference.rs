//! References of calls to each other's tensors: `[layer, node, tensor]`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{class_name, name_of};

/// The layers of one functional model that references may mean.
pub struct References {
    layers: HashMap<String, Target>,
}

/// A layer that is referred to.
#[derive(Clone, Copy, Debug, Default)]
struct Target {
    /// The number of its first call: Keras 2 counts the calls of nested models with an input of
    /// their own from 1.
    base: u64,
    /// Whether it is a nested functional model, whose calls Keras 3 counts from 1 in
    /// `input_layers` and `output_layers`.
    functional: bool,
    calls: u64,
}

impl References {
    /// Finds the layers of a functional model's config.
    pub fn of(config: &Map<String, Value>) -> References {
        let mut layers = HashMap::new();
        let list = config.get("layers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for layer in list {
            let sequential = class_name(layer) == "Sequential";
            let functional = matches!(class_name(layer), "Functional" | "Model");
            let has_input = functional || (sequential && begins_with_input(layer));
            let calls = layer.get("inbound_nodes").and_then(Value::as_array).map_or(0, Vec::len);
            let target = Target { base: u64::from(has_input), functional, calls: calls as u64 };
            layers.insert(name_of(layer).to_owned(), target);
        }
        let mut references = References { layers };
        // Some versions counted otherwise; a call that there is not says so.
        let mut seen = Vec::new();
        for layer in list {
            references.collect(layer.get("inbound_nodes").unwrap_or(&Value::Null), &mut seen);
        }
        for ends in ["input_layers", "output_layers"] {
            references.collect(config.get(ends).unwrap_or(&Value::Null), &mut seen);
        }
        for (layer, node) in seen {
            if let Some(target) = references.layers.get_mut(&layer) {
                match node {
                    0 => target.base = 0,
                    node if node == target.calls && target.calls > 0 && target.base == 0 => {
                        target.base = 1;
                    }
                    _ => {}
                }
            }
        }
        references
    }

    /// Every reference within `value`, down to a depth that JSON's reader has limited.
    fn collect(&self, value: &Value, found: &mut Vec<(String, u64)>) {
        match value {
            Value::Array(items) => match self.parts(items) {
                Some((layer, node, _, rest)) => {
                    found.push((layer.to_owned(), node));
                    rest.iter().for_each(|item| self.collect(item, found));
                }
                None => items.iter().for_each(|item| self.collect(item, found)),
            },
            Value::Object(map) => map.values().for_each(|item| self.collect(item, found)),
            _ => {}
        }
    }

    /// Layer, call and tensor, and what stands behind them.
    fn parts<'a>(&self, items: &'a [Value]) -> Option<(&'a str, u64, u64, &'a [Value])> {
        let [layer, node, tensor, rest @ ..] = items else { return None };
        let layer = layer.as_str().filter(|layer| self.layers.contains_key(*layer))?;
        let (node, tensor) = (node.as_u64()?, tensor.as_u64()?);
        (rest.len() <= 1 && rest.iter().all(Value::is_object))
            .then_some((layer, node, tensor, rest))
    }

    /// The tensor that a list means, in the form of Keras 3, and the arguments of the call that
    /// stand with it.
    pub fn tensor<'a>(
        &self,
        items: &'a [Value],
    ) -> Option<(Value, Option<&'a Map<String, Value>>)> {
        let (layer, node, tensor, rest) = self.parts(items)?;
        let base = self.layers.get(layer).map_or(0, |target| target.base);
        let node = node.saturating_sub(base);
        let history = json!({"keras_history": [layer, node, tensor]});
        let arguments = rest.first().and_then(Value::as_object);
        Some((json!({"class_name": "__keras_tensor__", "config": history}), arguments))
    }

    /// An argument with the references in it in the form of Keras 3.
    pub fn argument(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => match self.tensor(items) {
                Some((tensor, _)) => tensor,
                None => Value::Array(items.iter().map(|item| self.argument(item)).collect()),
            },
            Value::Object(map) => {
                map.iter().map(|(key, item)| (key.clone(), self.argument(item))).collect()
            }
            other => other.clone(),
        }
    }

    /// Numbers the calls in `input_layers` and `output_layers` as Keras 3 does.
    pub fn renumber_ends(&self, ends: &mut Value) {
        match ends {
            Value::Array(items) => {
                let found = self.parts(items).map(|(layer, node, ..)| (layer.to_owned(), node));
                match found {
                    Some((layer, node)) => {
                        let target = self.layers.get(&layer).copied().unwrap_or_default();
                        let node = node.saturating_sub(target.base) + u64::from(target.functional);
                        if let Some(slot) = items.get_mut(1) {
                            *slot = json!(node);
                        }
                        items.truncate(3);
                    }
                    None => items.iter_mut().for_each(|item| self.renumber_ends(item)),
                }
            }
            Value::Object(map) => map.values_mut().for_each(|item| self.renumber_ends(item)),
            _ => {}
        }
    }
}

/// Whether a Sequential was built for a shape: only then it has a call of its own before others.
fn begins_with_input(layer: &Value) -> bool {
    let layers = layer.pointer("/config/layers").or_else(|| layer.get("config"));
    let Some(first) = layers.and_then(Value::as_array).and_then(|layers| layers.first()) else {
        return false;
    };
    match class_name(first) {
        "InputLayer" | "Functional" | "Model" => true,
        "Sequential" => begins_with_input(first),
        _ => first.pointer("/config/batch_input_shape").is_some_and(Value::is_array),
    }
}
