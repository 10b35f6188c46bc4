//! What a derivative rule sees: a node, the gradients of its outputs, and room to add nodes.

use std::sync::Arc;

use super::{Graph, GraphError, Node, OpError, Operator, Tensor, TensorType, ValueId};

/// A node under differentiation (reverse mode). Its rule adds nodes that turn the gradients of the
/// outputs into those of the inputs, and [`give`](Self::give)s them.
///
/// An input to which nothing is given has the gradient zero.
#[derive(Debug)]
pub struct Adjoint<'a> {
    graph: &'a mut Graph,
    node: Node,
    gradients: Vec<Option<ValueId>>,
    wanted: Vec<bool>,
    given: Vec<Option<ValueId>>,
}

impl<'a> Adjoint<'a> {
    /// `node` of `graph`, the gradients of its outputs where there are any, and which inputs'
    /// gradients somebody needs.
    pub fn new(
        graph: &'a mut Graph,
        node: Node,
        gradients: Vec<Option<ValueId>>,
        wanted: Vec<bool>,
    ) -> Adjoint<'a> {
        let given = vec![None; node.inputs.len()];
        Adjoint { graph, node, gradients, wanted, given }
    }

    /// Runs the node's rule.
    ///
    /// # Errors
    /// If the operator has no rule, or cannot be differentiated as it stands.
    pub fn run(mut self) -> Result<Vec<Option<ValueId>>, GraphError> {
        let op = self.node.op.clone();
        op.differentiate(&mut self)?;
        Ok(self.given)
    }

    /// The value in slot `index`.
    ///
    /// # Errors
    /// If it is empty.
    pub fn input(&self, index: usize) -> Result<ValueId, GraphError> {
        self.optional(index).ok_or_else(|| {
            self.error(OpError::Missing { input: self.node.op.input_name(index).into_owned() })
        })
    }

    /// The value in slot `index`, if it is filled.
    pub fn optional(&self, index: usize) -> Option<ValueId> {
        self.node.inputs.get(index).copied().flatten()
    }

    /// All slots.
    pub fn inputs(&self) -> &[Option<ValueId>] {
        &self.node.inputs
    }

    /// Output `index` of the node.
    pub fn output(&self, index: usize) -> ValueId {
        self.node.outputs[index]
    }

    /// The gradient of output `index`, if it has one.
    pub fn gradient(&self, index: usize) -> Option<ValueId> {
        self.gradients.get(index).copied().flatten()
    }

    /// The gradients of all outputs.
    pub fn gradients(&self) -> &[Option<ValueId>] {
        &self.gradients
    }

    /// Whether the gradient of input `index` is needed.
    pub fn wants(&self, index: usize) -> bool {
        self.wanted.get(index).copied().unwrap_or(false)
    }

    /// The type of a value.
    pub fn ty(&self, id: ValueId) -> &TensorType {
        self.graph.ty(id)
    }

    /// Says what the gradient of input `index` is; it must have that input's shape.
    pub fn give(&mut self, index: usize, gradient: ValueId) {
        if let Some(slot) = self.given.get_mut(index) {
            *slot = Some(gradient);
        }
    }

    /// Adds a node whose only output is wanted.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add(&mut self, op: impl Operator, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        let inputs = inputs.iter().map(|&id| Some(id)).collect();
        Ok(self.add_node(op, inputs)?[0])
    }

    /// Adds a node, some slots of which may be empty, and returns its outputs.
    ///
    /// # Errors
    /// If the operator refuses its inputs.
    pub fn add_node(
        &mut self,
        op: impl Operator,
        inputs: Vec<Option<ValueId>>,
    ) -> Result<Vec<ValueId>, GraphError> {
        let name = format!("{}/gradient", self.node.name);
        self.graph.add_node(&name, Arc::new(op), inputs)
    }

    /// A value that is always `tensor`.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        self.graph.constant(tensor)
    }

    /// The error that the operator cannot be differentiated as it stands.
    pub fn refuse(&self, reason: impl Into<String>) -> GraphError {
        self.error(OpError::Derivative { reason: reason.into() })
    }

    fn error(&self, source: OpError) -> GraphError {
        GraphError::Node { node: self.node.name.clone(), op: self.node.op.name(), source }
    }
}
