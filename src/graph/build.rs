//! Building a Graph: what readers and passes add to it.

use std::sync::Arc;

use super::{
    Constraint, Graph, GraphError, Input, Layer, Node, NodeId, Operator, Output, Penalty,
    Regularizer, Slots, Source, Tensor, TensorType, Untrainable, Value, ValueId, Variable,
    VariableId, VariableKind,
};

impl Graph {
    /// Adds an input.
    ///
    /// # Errors
    /// If another one has that name.
    pub fn add_input(
        &mut self,
        name: impl Into<String>,
        ty: TensorType,
    ) -> Result<ValueId, GraphError> {
        let name = name.into();
        if self.inputs.iter().any(|input| input.name == name) {
            return Err(GraphError::Duplicate { what: "input", name });
        }
        let value = self.push(ty, Source::Input(self.inputs.len()));
        self.inputs.push(Input { name, value });
        Ok(value)
    }

    /// Adds an output.
    ///
    /// # Errors
    /// If another one has that name.
    pub fn add_output(
        &mut self,
        name: impl Into<String>,
        value: ValueId,
    ) -> Result<(), GraphError> {
        let name = name.into();
        if self.outputs.iter().any(|output| output.name == name) {
            return Err(GraphError::Duplicate { what: "output", name });
        }
        self.outputs.push(Output { name, value, mask: None });
        Ok(())
    }

    /// Says which elements of the output added last count for loss and metrics.
    pub fn mask_output(&mut self, mask: Option<ValueId>) {
        if let Some(output) = self.outputs.last_mut() {
            output.mask = mask;
        }
    }

    /// Forgets the outputs, so that others can be named.
    pub fn clear_outputs(&mut self) {
        self.outputs.clear();
    }

    /// Adds a Variable.
    ///
    /// # Errors
    /// If another one has that name.
    pub fn add_variable(
        &mut self,
        name: impl Into<String>,
        kind: VariableKind,
        value: Arc<Tensor>,
    ) -> Result<VariableId, GraphError> {
        let name = name.into();
        if self.variables.iter().any(|variable| variable.name == name) {
            return Err(GraphError::Duplicate { what: "variable", name });
        }
        let (regularizer, constraint) = (None, None);
        self.variables.push(Variable { name, kind, value, regularizer, constraint, kept: false });
        Ok(VariableId(self.variables.len() - 1))
    }

    /// Lets training add to the loss for the size of a Variable.
    pub fn set_regularizer(&mut self, variable: VariableId, regularizer: Option<Regularizer>) {
        self.variables[variable.0].regularizer = regularizer;
    }

    /// Lets training hold a Variable to a constraint.
    pub fn set_constraint(&mut self, variable: VariableId, constraint: Option<Constraint>) {
        self.variables[variable.0].constraint = constraint;
    }

    /// Notes that `layer` cannot be trained as it should be, and why; each once. Inference does not
    /// look at it.
    pub fn add_untrainable(&mut self, layer: impl Into<String>, reason: impl Into<String>) {
        let found = Untrainable { layer: layer.into(), reason: reason.into() };
        if !self.untrainable.contains(&found) {
            self.untrainable.push(found);
        }
    }

    /// What cannot be trained as it should be.
    pub fn untrainable(&self) -> &[Untrainable] {
        &self.untrainable
    }

    /// Lets training add to the loss for the size of a value.
    pub fn add_penalty(&mut self, penalty: Penalty) {
        self.penalties.push(penalty);
    }

    /// The penalties, to be completed by a reader.
    pub fn penalties_mut(&mut self) -> &mut Vec<Penalty> {
        &mut self.penalties
    }

    /// What training adds to the loss for the sizes of values.
    pub fn penalties(&self) -> &[Penalty] {
        &self.penalties
    }

    /// Lets Sessions keep a Variable as one that changes, though this Graph has no update of it.
    pub fn keep(&mut self, variable: VariableId) {
        self.variables[variable.0].kept = true;
    }

    /// Whether Sessions keep the Variable as one that changes: it is a state, has an update, or is
    /// said to be [kept](Self::keep).
    pub fn is_kept(&self, variable: VariableId) -> bool {
        let found = &self.variables[variable.0];
        found.kept
            || found.kind == VariableKind::State
            || self.updates.iter().any(|(id, _)| *id == variable)
    }

    /// Lets a Variable start with another value, of the same type where a node reads it.
    ///
    /// # Errors
    /// If a node reads the Variable, and the type is another one.
    pub fn set_variable(
        &mut self,
        variable: VariableId,
        value: Arc<Tensor>,
    ) -> Result<(), GraphError> {
        let is_read = self.variable_values.contains_key(&variable)
            || self.updates.iter().any(|(id, _)| *id == variable);
        let slot = &mut self.variables[variable.0];
        let (expected, found) = (TensorType::of(&slot.value), TensorType::of(&value));
        if is_read && expected != found {
            return Err(GraphError::Update { variable: slot.name.clone(), expected, found });
        }
        slot.value = value;
        Ok(())
    }

    /// The value that a Variable holds when a run starts.
    pub fn read(&mut self, variable: VariableId) -> ValueId {
        if let Some(&value) = self.variable_values.get(&variable) {
            return value;
        }
        let ty = TensorType::of(&self.variables[variable.0].value);
        let value = self.push(ty, Source::Variable(variable));
        self.variable_values.insert(variable, value);
        value
    }

    /// A value that is always `tensor`.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.constant_shared(Arc::new(tensor))
    }

    /// A value that is always `tensor`, without copying it.
    pub fn constant_shared(&mut self, tensor: Arc<Tensor>) -> ValueId {
        self.push(TensorType::of(&tensor), Source::Constant(tensor))
    }

    /// Lets a Variable hold `value` after a run.
    ///
    /// # Errors
    /// If the types differ.
    pub fn add_update(&mut self, variable: VariableId, value: ValueId) -> Result<(), GraphError> {
        let expected = TensorType::of(&self.variables[variable.0].value);
        if !expected.accepts(self.ty(value)) {
            return Err(GraphError::Update {
                variable: self.variables[variable.0].name.clone(),
                expected,
                found: self.ty(value).clone(),
            });
        }
        self.updates.retain(|(id, _)| *id != variable);
        self.updates.push((variable, value));
        Ok(())
    }

    /// Records a layer of the model that the Graph is read from.
    pub fn add_layer(&mut self, layer: Layer) {
        self.layers.push(layer);
    }

    /// The layers, to be completed by a reader.
    pub fn layers_mut(&mut self) -> &mut Vec<Layer> {
        &mut self.layers
    }

    /// Adds a node with every slot filled and returns its outputs.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add(
        &mut self,
        name: &str,
        op: impl Operator,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, GraphError> {
        let inputs = inputs.iter().map(|&value| Some(value)).collect();
        self.add_node(name, Arc::new(op), inputs)
    }

    /// Adds a node whose only output is wanted.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add_one(
        &mut self,
        name: &str,
        op: impl Operator,
        inputs: &[ValueId],
    ) -> Result<ValueId, GraphError> {
        Ok(self.add(name, op, inputs)?[0])
    }

    /// Adds a node, some slots of which may be empty, and returns its outputs.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add_node(
        &mut self,
        name: &str,
        op: Arc<dyn Operator>,
        inputs: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>, GraphError> {
        let types: Vec<_> =
            inputs.iter().map(|input| input.map(|id| &self.values[id.0].ty)).collect();
        let outputs = op.infer(Slots::new(&*op, &types)).map_err(|source| GraphError::Node {
            node: name.to_owned(),
            op: op.name(),
            source,
        })?;
        Ok(self.push_node(name, op, inputs, outputs))
    }

    /// Adds a node whose outputs have the types `types`.
    pub(super) fn push_node(
        &mut self,
        name: &str,
        op: Arc<dyn Operator>,
        inputs: Vec<Option<ValueId>>,
        types: Vec<TensorType>,
    ) -> Vec<ValueId> {
        let node = NodeId(self.nodes.len());
        let outputs: Vec<ValueId> = types
            .into_iter()
            .enumerate()
            .map(|(output, ty)| self.push(ty, Source::Node { node, output }))
            .collect();
        self.nodes.push(Node { name: name.to_owned(), op, inputs, outputs: outputs.clone() });
        outputs
    }

    fn push(&mut self, ty: TensorType, source: Source) -> ValueId {
        self.values.push(Value { ty, source });
        ValueId(self.values.len() - 1)
    }
}
