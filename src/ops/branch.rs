//! One of two bodies, by a truth value.

use std::borrow::Cow;
use std::sync::Arc;

use super::body::{self, Sizes};
use crate::graph::{Dim, Graph, OpError, Operator, Slots, TensorType, ValueId};

/// ONNX's `If`: runs one of two bodies, of which the other costs nothing.
///
/// Inputs: `condition`, one truth value; then the inputs of `then_branch`, then those of
/// `else_branch` (what the bodies take from around them). It begins a stage of its own, and the
/// sizes of what it gave are measured.
#[derive(Clone, Debug)]
pub struct If {
    /// What runs where the condition holds.
    pub then_branch: Arc<Graph>,
    /// What runs where it does not.
    pub else_branch: Arc<Graph>,
    /// The types of the outputs, whose sizes may be symbols that nothing else binds.
    pub outputs: Vec<TensorType>,
}

impl If {
    /// The node's operator in `graph`, where the branches take the values `then_inputs` and
    /// `else_inputs`: sizes on which they do not certainly agree become fresh symbols.
    ///
    /// # Errors
    /// If the branches differ in the number, element types or ranks of their outputs.
    pub fn new(
        graph: &mut Graph,
        (then_branch, then_inputs): (Arc<Graph>, &[ValueId]),
        (else_branch, else_inputs): (Arc<Graph>, &[ValueId]),
    ) -> Result<If, OpError> {
        let sizes = |branch: &Graph, given: &[ValueId]| {
            let mut sizes = Sizes::default();
            for (input, value) in branch.inputs().iter().zip(given) {
                sizes.learn(branch.ty(input.value), graph.ty(*value));
            }
            sizes
        };
        let known = (sizes(&then_branch, then_inputs), sizes(&else_branch, else_inputs));
        let mut outputs = Vec::with_capacity(then_branch.outputs().len());
        for index in 0..then_branch.outputs().len().max(else_branch.outputs().len()) {
            let types = (body::output(&then_branch, index), body::output(&else_branch, index));
            let (Some(a), Some(b)) = types else {
                let value = format!("{} outputs", else_branch.outputs().len());
                let expected = format!("{} as then_branch has", then_branch.outputs().len());
                return Err(body::refuse("else_branch", value, expected));
            };
            if (a.dtype, a.rank()) != (b.dtype, b.rank()) {
                let expected = format!("elements and rank of {a} as then_branch gives");
                return Err(body::refuse("else_branch", b.to_string(), expected));
            }
            let same = |axis: usize| -> Option<Dim> {
                let size = known.0.outside(&a.dims[axis])?;
                (known.1.outside(&b.dims[axis])? == size).then_some(size)
            };
            outputs.push(body::outer_type(graph, "branch", a, same));
        }
        Ok(If { then_branch, else_branch, outputs })
    }
}

impl Operator for If {
    fn name(&self) -> &'static str {
        "if"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        let (then, other) = (self.then_branch.inputs(), self.else_branch.inputs());
        let name = |branch: &str, name: &str| Cow::Owned(format!("{branch}/{name}"));
        match index.checked_sub(1) {
            None => Cow::Borrowed("condition"),
            Some(at) if at < then.len() => name("then", &then[at].name),
            Some(at) => match other.get(at - then.len()) {
                Some(input) => name("else", &input.name),
                None => Cow::Borrowed("surplus"),
            },
        }
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        let (then, other) = (self.then_branch.inputs().len(), self.else_branch.inputs().len());
        inputs.at_most(1 + then + other)?;
        inputs.get(0)?;
        body::check_flag(&inputs, 0)?;
        body::check_inputs(&inputs, 1, &self.then_branch, 0..then)?;
        body::check_inputs(&inputs, 1 + then, &self.else_branch, 0..other)?;
        for (name, branch) in self.bodies() {
            body::check_outputs(name, branch, 0, &self.outputs, |_| 0)?;
        }
        Ok(self.outputs.clone())
    }

    fn on_host(&self) -> bool {
        true
    }

    fn bodies(&self) -> Vec<(&'static str, &Arc<Graph>)> {
        vec![("then_branch", &self.then_branch), ("else_branch", &self.else_branch)]
    }
}
