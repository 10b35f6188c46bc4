//! The Graph itself: values in single assignment, nodes in order of evaluation, Variables.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Cost, DType, OpError, Operator, Slots, Symbol, Tensor, TensorError, TensorType};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) usize);

        impl $name {
            /// The position in the Graph's list.
            pub fn index(self) -> usize {
                self.0
            }
        }
    };
}
id!(
    /// Names a value of a Graph.
    ValueId
);
id!(
    /// Names a node of a Graph.
    NodeId
);
id!(
    /// Names a Variable of a Graph.
    VariableId
);

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Input `index` of the Graph.
    Input(usize),
    /// What a Variable holds when the run starts.
    Variable(VariableId),
    /// Always the same tensor.
    Constant(Arc<Tensor>),
    /// Output `output` of a node.
    Node {
        /// The node.
        node: NodeId,
        /// Which of its outputs.
        output: usize,
    },
}

/// A value: a type and where it comes from.
#[derive(Clone, Debug)]
pub struct Value {
    /// Element type and symbolic shape.
    pub ty: TensorType,
    /// Where it comes from.
    pub source: Source,
}

/// An operator applied to values.
#[derive(Clone, Debug)]
pub struct Node {
    /// The name that errors and profiles use: the layer's, or the layer's and a part.
    pub name: String,
    /// What it computes.
    pub op: Arc<dyn Operator>,
    /// A value for each filled slot.
    pub inputs: Vec<Option<ValueId>>,
    /// The values it defines.
    pub outputs: Vec<ValueId>,
}

/// What a Variable is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VariableKind {
    /// Trained by an optimizer.
    Parameter,
    /// A parameter of a layer that is not trained for now (`trainable: false`).
    Frozen,
    /// Part of the model, never trained: moving statistics, fixed tables.
    Statistic,
    /// Kept by a Session from one run to the next: the state of a stateful recurrent layer.
    State,
    /// What an optimizer remembers of a parameter.
    Slot,
}

/// What is added to the loss for a tensor's size: `l1·Σ|w| + l2·Σw²`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Regularizer {
    /// The factor of the sum of magnitudes.
    pub l1: f32,
    /// The factor of the sum of squares.
    pub l2: f32,
}

/// What is done to a Variable after each update by the optimizer. Norms are the roots of the sums of
/// squares along `axes`; ε is 1e-7.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// `max(w, 0)`.
    NonNegative,
    /// `w · clip(norm, 0, maximum) / (ε + norm)`.
    MaxNorm {
        /// The largest norm.
        maximum: f32,
        /// The axes of a norm.
        axes: Vec<usize>,
    },
    /// `w / (ε + norm)`.
    UnitNorm {
        /// The axes of a norm.
        axes: Vec<usize>,
    },
    /// `w · (rate · clip(norm, minimum, maximum) + (1 - rate) · norm) / (ε + norm)`.
    MinMaxNorm {
        /// The smallest norm.
        minimum: f32,
        /// The largest norm.
        maximum: f32,
        /// How much of the way to that norm is gone.
        rate: f32,
        /// The axes of a norm.
        axes: Vec<usize>,
    },
}

/// A part of the model that training would not treat as the model's own software does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrainable {
    /// The layer's name.
    pub layer: String,
    /// What is not followed, and what to do.
    pub reason: String,
}

/// What is added to the loss for the size of a layer's output, divided by the rows of the batch.
#[derive(Clone, Debug)]
pub struct Penalty {
    /// The layer's name.
    pub name: String,
    /// The output.
    pub value: ValueId,
    /// The factors.
    pub regularizer: Regularizer,
}

/// A tensor with a name that outlives a run.
#[derive(Clone, Debug)]
pub struct Variable {
    /// The chain of layer names and the variable's name: `lstm/lstm_cell/kernel`.
    pub name: String,
    /// What it is for.
    pub kind: VariableKind,
    /// The value that it starts with.
    pub value: Arc<Tensor>,
    /// What training adds to the loss for its size.
    pub regularizer: Option<Regularizer>,
    /// What is done to it after each update.
    pub constraint: Option<Constraint>,
    /// Whether a Session keeps it even where the Graph has no update of it, since another Graph has.
    pub kept: bool,
}

/// A named input.
#[derive(Clone, Debug)]
pub struct Input {
    /// The name by which a run gives it.
    pub name: String,
    /// The value.
    pub value: ValueId,
}

/// A named output.
#[derive(Clone, Debug)]
pub struct Output {
    /// The name under which a run returns it.
    pub name: String,
    /// The value.
    pub value: ValueId,
    /// Which of its elements count, `bool` of its leading dimensions, for loss and metrics.
    pub mask: Option<ValueId>,
}

/// A layer of the model that the Graph was read from, for tables and for outputs by layer name.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// The layer's name; parts of nested models carry a path: `encoder/lstm`.
    pub name: String,
    /// The class, as the format spells it.
    pub class: String,
    /// The outputs of its calls, in order.
    pub outputs: Vec<ValueId>,
    /// The Variables that it owns.
    pub variables: Vec<VariableId>,
    /// The names of the layers whose outputs it takes.
    pub connected_to: Vec<String>,
    /// How many models it is nested in, the outermost not counted.
    pub depth: usize,
}

/// Why a Graph cannot be built, with the node that is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// An operator refused its inputs.
    #[error("node `{node}` ({op}): {source}")]
    Node {
        /// The node's name.
        node: String,
        /// The operator's name.
        op: &'static str,
        /// What was wrong.
        #[source]
        source: OpError,
    },
    /// Two inputs, outputs or Variables have one name.
    #[error("two {what}s are named `{name}`; rename one")]
    Duplicate {
        /// Input, output or variable.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// An update's value does not fit its Variable.
    #[error("variable `{variable}` of type {expected} cannot take a value of type {found}")]
    Update {
        /// The Variable's name.
        variable: String,
        /// Its type.
        expected: TensorType,
        /// The value's type.
        found: TensorType,
    },
    /// The Graph contradicts itself: a fault of the reader or pass that made it.
    #[error("the graph is not valid: {0}")]
    Invalid(String),
    /// A constant's elements do not fit its shape.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// A model as a program: inputs, nodes in order of evaluation, outputs, Variables and updates.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    name: String,
    values: Vec<Value>,
    nodes: Vec<Node>,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    variables: Vec<Variable>,
    variable_values: HashMap<VariableId, ValueId>,
    updates: Vec<(VariableId, ValueId)>,
    layers: Vec<Layer>,
    penalties: Vec<Penalty>,
    untrainable: Vec<Untrainable>,
    is_exported: bool,
    pub(super) fresh: usize,
}

impl Graph {
    /// An empty Graph.
    pub fn new(name: impl Into<String>) -> Graph {
        Graph { name: name.into(), ..Graph::default() }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an exporter spelled its layers out, which passes may put together again.
    pub fn is_exported(&self) -> bool {
        self.is_exported
    }

    /// Says whether an exporter spelled its layers out.
    pub fn set_exported(&mut self, is_exported: bool) {
        self.is_exported = is_exported;
    }

    /// The nodes, each after those whose outputs it takes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The value `id`.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The tensor of a constant, or of a Variable that no run changes.
    pub fn fixed(&self, id: ValueId) -> Option<&Arc<Tensor>> {
        match &self.value(id).source {
            Source::Constant(tensor) => Some(tensor),
            Source::Variable(variable) if !self.is_kept(*variable) => {
                Some(&self.variable(*variable).value)
            }
            _ => None,
        }
    }

    /// Whether a node runs on the host: its operator does, or it takes or gives text.
    pub fn on_host(&self, node: &Node) -> bool {
        let mut values = node.inputs.iter().flatten().chain(&node.outputs);
        node.op.on_host() || values.any(|id| self.ty(*id).dtype == DType::Str)
    }

    /// How many values there are.
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// The type of the value `id`.
    pub fn ty(&self, id: ValueId) -> &TensorType {
        &self.values[id.0].ty
    }

    /// The inputs, in order.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The outputs, in order.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The Variables.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The Variable `id`.
    pub fn variable(&self, id: VariableId) -> &Variable {
        &self.variables[id.0]
    }

    /// What each Variable holds after a run; those not listed keep their value.
    pub fn updates(&self) -> &[(VariableId, ValueId)] {
        &self.updates
    }

    /// The layers of the model that the Graph was read from.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The symbols in the types of the inputs, each once.
    pub fn input_symbols(&self) -> Vec<Symbol> {
        let mut found = Vec::new();
        for input in &self.inputs {
            self.ty(input.value).dims.iter().for_each(|dim| dim.symbols(&mut found));
        }
        found
    }

    /// A symbol that no input and no other fresh symbol of this Graph has.
    pub fn fresh_symbol(&mut self, stem: &str) -> Symbol {
        let taken = self.input_symbols();
        loop {
            self.fresh += 1;
            let symbol = Symbol::new(&format!("{stem}_{}", self.fresh));
            if !taken.contains(&symbol) {
                return symbol;
            }
        }
    }

    /// What running every node once takes; unknown sizes count as 1.
    pub fn cost(&self) -> Cost {
        self.nodes.iter().fold(Cost::default(), |sum, node| {
            let ty = |id: &ValueId| &self.values[id.0].ty;
            let inputs: Vec<Option<&TensorType>> =
                node.inputs.iter().map(|id| id.as_ref().map(ty)).collect();
            let outputs: Vec<TensorType> = node.outputs.iter().map(|id| ty(id).clone()).collect();
            let Cost { flops, bytes } = node.op.cost(&inputs, &outputs);
            let (flops, bytes) = (sum.flops.saturating_add(flops), sum.bytes.saturating_add(bytes));
            Cost { flops, bytes }
        })
    }

    /// How many symbols were made by [`fresh_symbol`](Self::fresh_symbol).
    pub(crate) fn fresh_count(&self) -> usize {
        self.fresh
    }

    /// Lets fresh symbols be counted from `count` on, for a Graph that names such already.
    pub(crate) fn set_fresh_count(&mut self, count: usize) {
        self.fresh = count;
    }

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
        let node = NodeId(self.nodes.len());
        let outputs: Vec<ValueId> = outputs
            .into_iter()
            .enumerate()
            .map(|(output, ty)| self.push(ty, Source::Node { node, output }))
            .collect();
        self.nodes.push(Node { name: name.to_owned(), op, inputs, outputs: outputs.clone() });
        Ok(outputs)
    }

    fn push(&mut self, ty: TensorType, source: Source) -> ValueId {
        self.values.push(Value { ty, source });
        ValueId(self.values.len() - 1)
    }
}
