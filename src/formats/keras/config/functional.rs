//! Functional models: layers, the calls of each, and the order in which calls can be made.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::call::{CallNode, Structure, TensorRef};
use super::{LayerConfig, LayerKind, ModelConfig, layer_list, malformed, refuse_unknown};
use crate::formats::FormatError;

/// A functional `keras.Model`.
#[derive(Clone, Debug)]
pub struct FunctionalConfig {
    /// Its layers in the order of the file, which is that of the folders in the weight file.
    pub layers: Vec<NodeLayer>,
    /// Its inputs; each refers to an InputLayer.
    pub inputs: Structure,
    /// Its outputs.
    pub outputs: Structure,
    by_name: HashMap<String, usize>,
}

/// A layer of a functional model and its calls.
#[derive(Clone, Debug)]
pub struct NodeLayer {
    /// The layer.
    pub layer: LayerConfig,
    /// Its calls in order; an InputLayer has none.
    pub nodes: Vec<CallNode>,
}

impl NodeLayer {
    /// Whether this is an input of the model.
    pub fn is_input(&self) -> bool {
        self.layer.class_name == "InputLayer" && matches!(self.layer.kind, LayerKind::Layer)
    }

    /// The calls that others may refer to: an InputLayer's tensor counts as its call 0.
    fn calls(&self) -> usize {
        if self.is_input() { 1 } else { self.nodes.len() }
    }
}

/// One call: indices into [`FunctionalConfig::layers`] and [`NodeLayer::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallSite {
    /// The layer.
    pub layer: usize,
    /// The call; 0 for an InputLayer.
    pub node: usize,
}

impl FunctionalConfig {
    pub(super) fn parse(
        model: &str,
        config: &Map<String, Value>,
    ) -> Result<FunctionalConfig, FormatError> {
        let known = ["name", "trainable", "dtype", "layers", "input_layers", "output_layers"];
        refuse_unknown(model, "Functional", config, &known)?;
        let mut layers = Vec::new();
        let mut by_name = HashMap::new();
        for (index, value) in layer_list(model, config)?.iter().enumerate() {
            let layer = LayerConfig::parse(value, &format!("model '{model}', layer {index}"))?;
            if by_name.insert(layer.name.clone(), index).is_some() {
                return Err(graph(model, format!("two layers are named '{}'", layer.name)));
            }
            let layer = NodeLayer { nodes: nodes(value, &layer)?, layer };
            if layer.is_input() && !layer.nodes.is_empty() {
                return Err(graph(model, format!("InputLayer '{}' is called", layer.layer.name)));
            }
            layers.push(layer);
        }
        let references = |key: &str| {
            let place = format!("model '{model}': {key}");
            Structure::parse(config.get(key).unwrap_or(&Value::Null), &place)
        };
        let (inputs, outputs) = (references("input_layers")?, references("output_layers")?);
        let mut parsed = FunctionalConfig { layers, inputs, outputs, by_name };
        parsed.resolve_ends(model)?;
        parsed.check_references(model)?;
        parsed.order(model)?;
        Ok(parsed)
    }

    /// The layer of that name.
    pub fn layer(&self, name: &str) -> Option<&NodeLayer> {
        self.layers.get(*self.by_name.get(name)?)
    }

    /// The call that a reference means.
    pub fn site(&self, tensor: &TensorRef) -> Option<CallSite> {
        let layer = *self.by_name.get(&tensor.layer)?;
        (tensor.node < self.layers.get(layer)?.calls())
            .then_some(CallSite { layer, node: tensor.node })
    }

    /// Numbers the calls of nested functional models from 0 in `input_layers` and `output_layers`.
    /// Keras counts them from 1 there, and from 0 in the arguments of calls
    /// (`keras.src.models.functional.Functional.get_config`).
    fn resolve_ends(&mut self, model: &str) -> Result<(), FormatError> {
        let counts: HashMap<&str, usize> = self
            .layers
            .iter()
            .filter(|l| matches!(l.layer.as_model(), Some(ModelConfig::Functional(_))))
            .map(|l| (l.layer.name.as_str(), l.calls()))
            .collect();
        let mut renumber = |tensor: &mut TensorRef| {
            if let Some(&calls) = counts.get(tensor.layer.as_str()) {
                // Index 0 becomes Python's -1, the last call.
                tensor.node = match tensor.node.checked_sub(1) {
                    Some(node) => node,
                    None => calls.checked_sub(1).ok_or_else(|| {
                        graph(model, format!("layer '{}' is never called", tensor.layer))
                    })?,
                };
            }
            Ok(())
        };
        self.inputs.for_each_mut(&mut renumber)?;
        self.outputs.for_each_mut(&mut renumber)
    }

    fn check_references(&self, model: &str) -> Result<(), FormatError> {
        let ends = self.inputs.flatten().into_iter().chain(self.outputs.flatten());
        let calls = self.layers.iter().flat_map(|layer| &layer.nodes).flat_map(CallNode::tensors);
        for tensor in ends.chain(calls) {
            if self.site(tensor).is_none() {
                let TensorRef { layer, node, .. } = tensor;
                return Err(graph(model, format!("call {node} of layer '{layer}' does not exist")));
            }
        }
        for tensor in self.inputs.flatten() {
            if !self.layer(&tensor.layer).is_some_and(NodeLayer::is_input) {
                let problem = format!("input '{}' is no InputLayer", tensor.layer);
                return Err(graph(model, problem));
            }
        }
        Ok(())
    }

    /// All calls in Keras's own order, in which each comes after those it takes tensors from: the
    /// farthest from an output first, and calls as far as each other in the order in which a walk
    /// back from the outputs meets them (`keras.src.ops.function.map_graph`). It matters because
    /// attention takes the masks off its inputs.
    pub fn execution_order(&self) -> Vec<CallSite> {
        let mut depths: HashMap<CallSite, usize> = HashMap::new();
        let mut layer_depths: HashMap<usize, usize> = HashMap::new();
        let mut met = Vec::new();
        for site in self.walk_back().into_iter().rev() {
            let own = *depths.entry(site).or_insert_with(|| {
                met.push(site);
                0
            });
            let depth = own.max(layer_depths.get(&site.layer).copied().unwrap_or(0));
            depths.insert(site, depth);
            layer_depths.insert(site.layer, depth);
            for source in self.sources(site) {
                let known = depths.entry(source).or_insert_with(|| {
                    met.push(source);
                    0
                });
                *known = (*known).max(depth + 1);
            }
        }
        met.sort_by_key(|site| std::cmp::Reverse(depths.get(site).copied().unwrap_or(0)));
        // What no output needs comes last. Parsing has refused models without an order.
        let all = self.order("").unwrap_or_default();
        met.extend(all.into_iter().filter(|site| !depths.contains_key(site)));
        met
    }

    /// The calls whose tensors a call takes, in order of arguments.
    fn sources(&self, site: CallSite) -> Vec<CallSite> {
        let node = self.layers.get(site.layer).and_then(|layer| layer.nodes.get(site.node));
        let tensors = node.map(CallNode::tensors).unwrap_or_default();
        tensors.into_iter().filter_map(|tensor| self.site(tensor)).collect()
    }

    /// The calls that outputs need, each after those it takes tensors from.
    fn walk_back(&self) -> Vec<CallSite> {
        let (mut done, mut seen) = (Vec::new(), HashSet::new());
        for output in self.outputs.flatten() {
            let Some(site) = self.site(output).filter(|site| seen.insert(*site)) else { continue };
            let mut open = vec![(site, self.sources(site).into_iter())];
            while let Some((site, sources)) = open.last_mut() {
                match sources.next() {
                    Some(source) if seen.insert(source) => {
                        open.push((source, self.sources(source).into_iter()));
                    }
                    Some(_) => {}
                    None => {
                        done.push(*site);
                        open.pop();
                    }
                }
            }
        }
        done
    }

    fn order(&self, model: &str) -> Result<Vec<CallSite>, FormatError> {
        let mut missing: HashMap<CallSite, usize> = HashMap::new();
        let mut users: HashMap<CallSite, Vec<CallSite>> = HashMap::new();
        let mut ready = BTreeSet::new();
        let mut total = 0;
        for (index, layer) in self.layers.iter().enumerate() {
            for node in 0..layer.calls() {
                total += 1;
                let site = CallSite { layer: index, node };
                let tensors = layer.nodes.get(node).map(CallNode::tensors).unwrap_or_default();
                let sources: BTreeSet<CallSite> =
                    tensors.into_iter().filter_map(|tensor| self.site(tensor)).collect();
                if sources.is_empty() {
                    ready.insert((!layer.is_input(), site));
                }
                missing.insert(site, sources.len());
                sources.into_iter().for_each(|source| users.entry(source).or_default().push(site));
            }
        }
        let mut order = Vec::with_capacity(total);
        while let Some((_, site)) = ready.pop_first() {
            order.push(site);
            for user in users.remove(&site).unwrap_or_default() {
                if let Some(count) = missing.get_mut(&user) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert((true, user));
                    }
                }
            }
        }
        if order.len() == total {
            return Ok(order);
        }
        let stuck = self.layers.iter().enumerate().find(|(index, layer)| {
            (0..layer.calls())
                .any(|node| missing.get(&CallSite { layer: *index, node }) != Some(&0))
        });
        let name = stuck.map_or("?", |(_, layer)| layer.layer.name.as_str());
        Err(graph(model, format!("the calls of layer '{name}' depend on each other in a circle")))
    }
}

fn graph(model: &str, problem: String) -> FormatError {
    FormatError::Graph { model: model.to_owned(), problem }
}

fn nodes(value: &Value, layer: &LayerConfig) -> Result<Vec<CallNode>, FormatError> {
    let place = |index: usize| format!("layer '{}', inbound node {index}", layer.name);
    match value.get("inbound_nodes") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(nodes)) => nodes
            .iter()
            .enumerate()
            .map(|(index, node)| CallNode::parse(node, &place(index)))
            .collect(),
        Some(other) => {
            Err(malformed(&format!("layer '{}': inbound_nodes", layer.name), "a list", other))
        }
    }
}
