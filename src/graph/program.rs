//! The Graph itself: values in single assignment, nodes in order of evaluation, Variables.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Cost, DType, OpError, Operator, Symbol, Tensor, TensorError, TensorType};

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
    pub(super) name: String,
    pub(super) values: Vec<Value>,
    pub(super) nodes: Vec<Node>,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
    pub(super) variables: Vec<Variable>,
    pub(super) variable_values: HashMap<VariableId, ValueId>,
    pub(super) updates: Vec<(VariableId, ValueId)>,
    pub(super) layers: Vec<Layer>,
    pub(super) penalties: Vec<Penalty>,
    pub(super) untrainable: Vec<Untrainable>,
    pub(super) is_exported: bool,
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
}
