//! After all layers are known: which Variables files hold and in which order, and the values of those
//! that are stored by order alone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{Group, Lowered, Lowering, Scope, is_input};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, LayerKind, ModelConfig};
use crate::formats::keras::source::OrderedWeights;
use crate::formats::keras::{Document, LayerGroup, SavedVariable, Stored};
use crate::graph::{Graph, Tensor};

impl Lowering {
    /// Notes a layer under the layer of the outermost model that it lies in.
    pub(super) fn group(&mut self, scope: &Scope<'_>, layer: &LayerConfig, depth: usize) {
        if depth == 0 {
            let sequential = matches!(scope.model.as_model(), Some(ModelConfig::Sequential(_)));
            if matches!(layer.kind, LayerKind::Operator) || (sequential && is_input(layer)) {
                return;
            }
            self.groups.push(Group { layer: layer.name.clone(), keys: Vec::new() });
        }
        let key = self.key_of(scope, layer);
        if let Some(group) = self.groups.last_mut()
            && !group.keys.contains(&key)
        {
            group.keys.push(key);
        }
    }

    /// Completes the document, and binds weights that are stored by order.
    pub(super) fn bind(mut self, mut document: Document) -> Result<Lowered, FormatError> {
        let mut positions: HashMap<&str, Vec<usize>> = HashMap::new();
        for key in self.groups.iter().flat_map(|group| &group.keys) {
            let Some(built) = self.built.get(key).filter(|_| !positions.contains_key(key.as_str()))
            else {
                continue;
            };
            let layer = self.places.get(key).map_or("", |place| place.path.as_str());
            let mut of_layer = Vec::new();
            for (variable, stored) in built.variables.iter().zip(&built.stored) {
                let Some(stored) = stored else { continue };
                of_layer.push(document.variables.len());
                document.variables.push(SavedVariable {
                    variable: *variable,
                    layer: layer.to_owned(),
                    path: stored.path.clone(),
                    trainable: stored.trainable,
                });
            }
            positions.insert(key, of_layer);
        }
        let variables = &document.variables;
        let groups = self.groups.iter().map(|group| {
            let within = group.keys.iter().filter_map(|key| positions.get(key.as_str()));
            let mut within: Vec<usize> = within.flatten().copied().collect();
            within.sort_by_key(|&position| !variables[position].trainable);
            LayerGroup { layer: group.layer.clone(), variables: within }
        });
        document.groups = groups.collect();
        let notes = self.source.notes();
        document.stored.clone_from(&notes.stored);
        for folder in &notes.given {
            document.give_vocabulary(folder, self.source.vocabulary());
        }
        for (folder, (tokens, weights)) in &notes.learned {
            document.give_learned(folder, tokens, weights.as_deref());
        }
        if let Some(weights) = self.source.take_ordered() {
            let stored = bind_ordered(&mut self.graph, &document, weights)?;
            document.stored.extend(stored);
        }
        Ok(Lowered { graph: self.graph, document, source: self.source })
    }
}

/// Gives the Variables of each layer the weights of that layer, in order.
fn bind_ordered(
    graph: &mut Graph,
    document: &Document,
    mut weights: OrderedWeights,
) -> Result<BTreeMap<String, Stored>, FormatError> {
    let mut stored = BTreeMap::new();
    let groups: Vec<&LayerGroup> =
        document.groups.iter().filter(|group| !group.variables.is_empty()).collect();
    let mut layers: Vec<(String, Vec<(String, Tensor)>)> =
        weights.layers.into_iter().filter(|(_, weights)| !weights.is_empty()).collect();
    let names: HashSet<&str> = layers.iter().map(|(name, _)| name.as_str()).collect();
    let by_name = groups.iter().all(|group| names.contains(group.layer.as_str()));
    if groups.len() != layers.len() {
        return Err(FormatError::WeightedLayers { expected: groups.len(), found: layers.len() });
    }
    for group in groups {
        let at = layers.iter().position(|(name, _)| by_name && *name == group.layer).unwrap_or(0);
        let (name, tensors) = layers.remove(at);
        for (&position, (weight, _)) in group.variables.iter().zip(&tensors) {
            let form = weights.stored.remove(&format!("{name}/{weight}"));
            let path = document.variables.get(position).map(|saved| saved.path.clone());
            stored.extend(path.zip(form));
        }
        bind_group(graph, document, group, &name, tensors)?;
    }
    Ok(stored)
}

fn bind_group(
    graph: &mut Graph,
    document: &Document,
    group: &LayerGroup,
    stored_as: &str,
    tensors: Vec<(String, Tensor)>,
) -> Result<(), FormatError> {
    if tensors.len() != group.variables.len() {
        return Err(FormatError::WeightCount {
            layer: group.layer.clone(),
            group: stored_as.to_owned(),
            expected: group.variables.len(),
            found: tensors.len(),
        });
    }
    for (&position, (name, tensor)) in group.variables.iter().zip(tensors) {
        let saved = &document.variables[position];
        let expected = graph.variable(saved.variable).value.shape().to_vec();
        if tensor.shape() != expected {
            return Err(FormatError::WeightShape {
                layer: saved.layer.clone(),
                path: name,
                expected,
                found: tensor.shape().to_vec(),
            });
        }
        let set = graph.set_variable(saved.variable, Arc::new(tensor));
        set.map_err(|source| super::inputs_error(&saved.layer, source))?;
    }
    Ok(())
}
