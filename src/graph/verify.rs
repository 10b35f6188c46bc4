//! The verifier: what must hold of every Graph, checked after every reader and pass in tests.

use std::collections::HashSet;

use super::{Graph, GraphError, Slots, Source, TensorType, ValueId};

impl Graph {
    /// Checks single assignment, order of evaluation, types, names and updates.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn verify(&self) -> Result<(), GraphError> {
        self.verify_sources()?;
        self.verify_nodes()?;
        self.verify_names()?;
        for (variable, value) in self.updates() {
            let Some(target) = self.variables().get(variable.0) else {
                return invalid(format!(
                    "an update of a variable {} that does not exist",
                    variable.0
                ));
            };
            let expected = TensorType::of(&target.value);
            if !expected.accepts(self.ty(*value)) {
                return invalid(format!("the update of `{}` has another type", target.name));
            }
        }
        Ok(())
    }

    fn verify_sources(&self) -> Result<(), GraphError> {
        for index in 0..self.value_count() {
            let id = ValueId(index);
            let holds = match &self.value(id).source {
                Source::Input(input) => self.inputs().get(*input).is_some_and(|i| i.value == id),
                Source::Variable(variable) => self
                    .variables()
                    .get(variable.0)
                    .is_some_and(|variable| TensorType::of(&variable.value) == *self.ty(id)),
                Source::Constant(tensor) => TensorType::of(tensor) == *self.ty(id),
                Source::Node { node, output } => self
                    .nodes()
                    .get(node.0)
                    .is_some_and(|node| node.outputs.get(*output) == Some(&id)),
            };
            if !holds {
                return invalid(format!("value %{index} does not agree with its source"));
            }
        }
        Ok(())
    }

    fn verify_nodes(&self) -> Result<(), GraphError> {
        for (position, node) in self.nodes().iter().enumerate() {
            for id in node.inputs.iter().flatten() {
                if id.0 >= self.value_count() {
                    return invalid(format!(
                        "node `{}` takes a value that does not exist",
                        node.name
                    ));
                }
                if let Source::Node { node: source, .. } = self.value(*id).source
                    && source.0 >= position
                {
                    return invalid(format!("node `{}` stands before its input", node.name));
                }
            }
            for (name, body) in node.op.bodies() {
                body.verify().map_err(|error| {
                    GraphError::Invalid(format!("{name} of node `{}`: {error}", node.name))
                })?;
            }
            let types: Vec<_> =
                node.inputs.iter().map(|input| input.map(|id| self.ty(id))).collect();
            let inferred = node.op.infer(Slots::new(&*node.op, &types)).map_err(|source| {
                GraphError::Node { node: node.name.clone(), op: node.op.name(), source }
            })?;
            let agree = inferred.len() == node.outputs.len()
                && inferred.iter().zip(&node.outputs).all(|(ty, id)| self.ty(*id).accepts(ty));
            if !agree {
                return invalid(format!("the outputs of node `{}` have other types", node.name));
            }
        }
        Ok(())
    }

    fn verify_names(&self) -> Result<(), GraphError> {
        let variables = self.variables().iter().map(|v| ("variable", &v.name));
        let inputs = self.inputs().iter().map(|i| ("input", &i.name));
        let outputs = self.outputs().iter().map(|o| ("output", &o.name));
        let mut seen = HashSet::new();
        for (what, name) in variables.chain(inputs).chain(outputs) {
            if !seen.insert((what, name)) {
                return Err(GraphError::Duplicate { what, name: name.clone() });
            }
        }
        Ok(())
    }
}

fn invalid<T>(reason: String) -> Result<T, GraphError> {
    Err(GraphError::Invalid(reason))
}
