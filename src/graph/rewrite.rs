//! Edits of a Graph: a pass describes replacements, the Graph is rebuilt around them.

use std::sync::Arc;

use super::{Graph, GraphError, Layer, Node, Penalty, Source, Tensor, Untrainable, ValueId};

/// What becomes of a node in a rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It stays as it is.
    Keep,
    /// Its outputs are these values of the new Graph.
    Replace(Vec<ValueId>),
    /// It goes, and so must everything that takes its outputs.
    Remove,
}

impl Graph {
    /// A new Graph in which `edit` decided about every node.
    ///
    /// `edit` sees the new Graph, the node, and the node's inputs as values of the new Graph; it
    /// may add nodes of its own. Inputs, Variables, updates, outputs and layers are carried over;
    /// a layer's output that no longer exists is dropped from its record, and so is its penalty.
    ///
    /// # Errors
    /// If an added node is refused, or a removed value is still needed.
    pub fn rewrite(
        &self,
        edit: impl FnMut(&mut Graph, &Node, &[Option<ValueId>]) -> Result<Edit, GraphError>,
    ) -> Result<Graph, GraphError> {
        self.rebuild(&[], edit)
    }

    /// A new Graph in which the inputs that have a tensor in `fixed` are constants.
    ///
    /// # Errors
    /// If a node refuses a tensor.
    pub fn with_constants(&self, fixed: &[Option<Arc<Tensor>>]) -> Result<Graph, GraphError> {
        self.rebuild(fixed, |_, _, _| Ok(Edit::Keep))
    }

    fn rebuild(
        &self,
        fixed: &[Option<Arc<Tensor>>],
        mut edit: impl FnMut(&mut Graph, &Node, &[Option<ValueId>]) -> Result<Edit, GraphError>,
    ) -> Result<Graph, GraphError> {
        let mut new = Graph::new(self.name());
        new.fresh = self.fresh;
        new.set_exported(self.is_exported());
        new.variables.clone_from(&self.variables);
        let mut map = Map(vec![None; self.value_count()]);
        for (index, input) in self.inputs().iter().enumerate() {
            let value = match fixed.get(index).cloned().flatten() {
                Some(tensor) => new.constant_shared(tensor),
                None => new.add_input(input.name.clone(), self.ty(input.value).clone())?,
            };
            map.insert(input.value, value);
        }
        for node in self.nodes() {
            let inputs = self.translate(&mut new, &mut map, node)?;
            let Some(inputs) = inputs else { continue };
            let outputs = match edit(&mut new, node, &inputs)? {
                Edit::Keep => self.retain(&mut new, node, inputs)?,
                Edit::Replace(values) => values,
                Edit::Remove => continue,
            };
            node.outputs.iter().zip(outputs).for_each(|(old, value)| map.insert(*old, value));
        }
        self.carry_over(&mut new, &mut map)?;
        Ok(new)
    }

    /// Adds a node as it is. Where its inputs have the types that they had, so have its outputs.
    fn retain(
        &self,
        new: &mut Graph,
        node: &Node,
        inputs: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>, GraphError> {
        let same = |(old, input): (&Option<ValueId>, &Option<ValueId>)| match (old, input) {
            (Some(old), Some(input)) => self.ty(*old) == new.ty(*input),
            _ => true,
        };
        if !node.inputs.iter().zip(&inputs).all(same) {
            return new.add_node(&node.name, Arc::clone(&node.op), inputs);
        }
        let types = node.outputs.iter().map(|id| self.ty(*id).clone()).collect();
        Ok(new.push_node(&node.name, Arc::clone(&node.op), inputs, types))
    }

    /// The node's inputs in the new Graph, or `None` if one of them was removed.
    fn translate(
        &self,
        new: &mut Graph,
        map: &mut Map,
        node: &Node,
    ) -> Result<Option<Vec<Option<ValueId>>>, GraphError> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            match input {
                None => inputs.push(None),
                Some(id) => match self.resolve(new, map, *id) {
                    Some(value) => inputs.push(Some(value)),
                    None => return Ok(None),
                },
            }
        }
        Ok(Some(inputs))
    }

    fn resolve(&self, new: &mut Graph, map: &mut Map, id: ValueId) -> Option<ValueId> {
        if let Some(value) = map.get(id) {
            return Some(value);
        }
        let value = match &self.value(id).source {
            Source::Variable(variable) => new.read(*variable),
            Source::Constant(tensor) => new.constant_shared(tensor.clone()),
            Source::Input(_) | Source::Node { .. } => return None,
        };
        map.insert(id, value);
        Some(value)
    }

    fn carry_over(&self, new: &mut Graph, map: &mut Map) -> Result<(), GraphError> {
        for (variable, value) in self.updates() {
            let value = self.resolve(new, map, *value).ok_or_else(|| removed("an update"))?;
            new.add_update(*variable, value)?;
        }
        for output in self.outputs() {
            let value =
                self.resolve(new, map, output.value).ok_or_else(|| removed(&output.name))?;
            new.add_output(output.name.clone(), value)?;
            let mask = output.mask.and_then(|mask| self.resolve(new, map, mask));
            new.mask_output(mask);
        }
        for layer in self.layers() {
            let outputs =
                layer.outputs.iter().filter_map(|id| self.resolve(new, map, *id)).collect();
            new.add_layer(Layer { outputs, ..layer.clone() });
        }
        for Untrainable { layer, reason } in self.untrainable() {
            new.add_untrainable(layer, reason);
        }
        for penalty in self.penalties() {
            if let Some(value) = self.resolve(new, map, penalty.value) {
                new.add_penalty(Penalty { value, ..penalty.clone() });
            }
        }
        Ok(())
    }
}

/// The values of the new Graph by those of the old one.
struct Map(Vec<Option<ValueId>>);

impl Map {
    fn get(&self, old: ValueId) -> Option<ValueId> {
        self.0.get(old.index()).copied().flatten()
    }

    fn insert(&mut self, old: ValueId, new: ValueId) {
        self.0[old.index()] = Some(new);
    }
}

fn removed(what: &str) -> GraphError {
    GraphError::Invalid(format!("a pass removed the value of {what}"))
}
