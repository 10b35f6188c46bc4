//! Nodes that need the value of an input that only a run computes: they are read again when it is there.

use std::error::Error;
use std::sync::Arc;

use super::call::{Call, Outputs};
use super::contents::LIMIT;
use super::context::{Context, domain};
use super::error::{NodeProblem, OnnxError, Problem};
use super::lower::{Lowering, Scope};
use super::operand::Operand;
use super::proto::NodeProto;
use super::{operators, order};
use crate::graph::{Graph, Tensor, TensorType};
use crate::ops::{Late, LateBuild};

/// A node that waits for its inputs.
#[derive(Debug)]
struct Deferred {
    node: NodeProto,
    path: String,
    context: Arc<Context>,
    /// What each input is, as far as it is known already; then each name that its subgraphs take.
    inputs: Vec<Slot>,
    /// Those names.
    captures: Vec<String>,
}

/// An input of a node that waits.
#[derive(Clone, Debug)]
enum Slot {
    /// It has none.
    Empty,
    /// Known already.
    Known(Arc<Tensor>),
    /// Its value decides what the node computes.
    Needed,
    /// Its type and shape are enough.
    Given,
}

/// Puts a node off until a run knows the values of the inputs `needed`; `outputs` are the types of what
/// it gives.
///
/// # Errors
/// If they are known already, or its subgraphs take names that nothing defines.
pub(super) fn put_off(call: &mut Call<'_>, needed: &[usize], outputs: Vec<TensorType>) -> Outputs {
    let is_known = |index: &usize| {
        call.operands.get(*index).is_some_and(|operand| matches!(operand, Some(Operand::Known(_))))
    };
    // They are there, and yet nothing could be done with them: waiting for a run would change nothing.
    if needed.iter().all(is_known) {
        let index = needed.first().copied().unwrap_or_default();
        let found = format!("a list of more than {LIMIT} numbers, or no list of integers");
        let expected = "a shorter list".to_owned();
        return Err(NodeProblem::Input { index, input: "value", found, expected }.into());
    }
    let captures = captures(call.node);
    let mut operands = call.operands.to_vec();
    for name in &captures {
        let undefined = || NodeProblem::UndefinedInput { value: name.clone() };
        operands.push(Some(call.scope.get(name).cloned().ok_or_else(undefined)?));
    }
    let mut values = Vec::with_capacity(operands.len());
    let mut inputs = Vec::with_capacity(operands.len());
    for (index, operand) in operands.iter().enumerate() {
        let (slot, value) = match operand {
            None => (Slot::Empty, None),
            Some(Operand::Known(tensor)) => (Slot::Known(tensor.clone()), None),
            // Sizes are worth knowing, or the result would be less static than it could be.
            Some(operand @ Operand::Sizes(_)) => (Slot::Needed, Some(call.materialize(operand)?)),
            Some(operand) => {
                let slot = if needed.contains(&index) { Slot::Needed } else { Slot::Given };
                (slot, Some(call.materialize(operand)?))
            }
        };
        inputs.push(slot);
        values.push(value);
    }
    call.seen.fill(true);
    // The attributes are read when the node is.
    call.attributes.ignore_all();
    let (node, path, context) = (call.node.clone(), call.name.to_owned(), call.context.clone());
    let build = Arc::new(Deferred { node, path, context, inputs, captures });
    let values = call.add_node(Late { build, outputs }, values)?;
    Ok(values.into_iter().map(Operand::from).collect())
}

/// The names that the subgraphs of a node take from around them, each once.
fn captures(node: &NodeProto) -> Vec<String> {
    let graphs = node.attribute.iter().filter_map(|attribute| attribute.g.as_deref());
    let mut names: Vec<String> = graphs.flat_map(order::captured).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl LateBuild for Deferred {
    fn name(&self) -> &str {
        let NodeProto { op_type, .. } = &self.node;
        op_type
    }

    fn needs(&self) -> Vec<usize> {
        let slots = self.inputs.iter().enumerate();
        slots.filter(|(_, slot)| matches!(slot, Slot::Needed)).map(|(index, _)| index).collect()
    }

    fn build(&self, inputs: &[Option<&Tensor>]) -> Result<Graph, Box<dyn Error + Send + Sync>> {
        Ok(self.lower(inputs)?)
    }
}

impl Deferred {
    fn lower(&self, inputs: &[Option<&Tensor>]) -> Result<Graph, OnnxError> {
        let at = |problem: Problem| problem.at(self.path.clone(), self.node.op_type.clone());
        let mut lowering = Lowering::sized(&self.path);
        let mut operands = Vec::with_capacity(self.inputs.len());
        for (index, slot) in self.inputs.iter().enumerate() {
            let given = inputs.get(index).copied().flatten();
            operands.push(match (slot, given) {
                (Slot::Known(tensor), _) => Some(Operand::Known(tensor.clone())),
                (Slot::Needed, Some(tensor)) => Some(Operand::known(tensor.clone())),
                (Slot::Given, Some(tensor)) => {
                    let (name, ty) = (Late::input_name(index), TensorType::of(tensor));
                    let value = lowering.graph.add_input(name, ty);
                    Some(Operand::Value(value.map_err(|error| at(error.into()))?))
                }
                (Slot::Empty, _) | (_, None) => None,
            });
        }
        let row = operators::find(domain(&self.node.domain), &self.node.op_type);
        let opset = self.context.opset(&self.node.domain).unwrap_or(1);
        let row = row.ok_or_else(|| at(NodeProblem::UnknownOperator { opset }.into()))?;
        let mut scope = Scope::default();
        let captured = operands.split_off(operands.len().saturating_sub(self.captures.len()));
        for (name, operand) in self.captures.iter().zip(captured) {
            if let Some(operand) = operand {
                scope.define(name, operand);
            }
        }
        let outputs =
            lowering.dispatch(row, &self.node, &operands, &scope, &self.context, &self.path);
        for (index, output) in outputs.map_err(at)?.iter().enumerate() {
            let value = lowering.materialize(output, &self.path);
            let value = value.map_err(|error| at(error.into()))?;
            let added = lowering.graph.add_output(index.to_string(), value);
            added.map_err(|error| at(error.into()))?;
        }
        Ok(lowering.finish())
    }
}
