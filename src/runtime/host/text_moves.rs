//! Text that is moved without being looked at: the operator runs on the numbers of the texts.

use std::any::TypeId;

use super::{HostCall, HostOp, Nested, input, refuse, within};
use crate::graph::{DType, Data, Graph, Node, Operator, Tensor, TensorType};
use crate::ops::*;
use crate::runtime::{Placement, RunError, Session};

/// Whether an operator moves elements and does nothing else with them.
pub(super) fn is_move(op: &dyn Operator) -> bool {
    let moves = [
        TypeId::of::<BroadcastTo>(),
        TypeId::of::<Concat>(),
        TypeId::of::<Crop>(),
        TypeId::of::<Expand>(),
        TypeId::of::<FullLike>(),
        TypeId::of::<GatherNd>(),
        TypeId::of::<Pad>(),
        TypeId::of::<Reshape>(),
        TypeId::of::<ReshapeLike>(),
        TypeId::of::<Reverse>(),
        TypeId::of::<ReverseSequence>(),
        TypeId::of::<Select>(),
        TypeId::of::<Slice>(),
        TypeId::of::<Take>(),
        TypeId::of::<TakeAlongAxis>(),
        TypeId::of::<Tile>(),
        TypeId::of::<Transpose>(),
    ];
    moves.contains(&op.type_id())
}

/// The node alone in a Graph, with a number for each text. Number 0 is the empty text, with which
/// padding fills.
pub(super) struct TextMove {
    session: Session,
}

impl TextMove {
    /// Makes the Session of the node on numbers.
    ///
    /// # Errors
    /// If the device lacks the operator.
    pub(super) fn new(graph: &Graph, node: &Node, nested: &Nested) -> Result<TextMove, RunError> {
        let mut numbers = Graph::new(node.name.clone());
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (slot, id) in node.inputs.iter().enumerate() {
            let Some(id) = id else {
                inputs.push(None);
                continue;
            };
            let TensorType { dtype, dims } = graph.ty(*id).clone();
            let dtype = if dtype == DType::Str { DType::I64 } else { dtype };
            inputs.push(Some(numbers.add_input(slot.to_string(), TensorType { dtype, dims })?));
        }
        for (index, id) in numbers.add_node(&node.name, node.op.clone(), inputs)?.iter().enumerate()
        {
            numbers.add_output(index.to_string(), *id)?;
        }
        Ok(TextMove { session: nested.session(node, &numbers)? })
    }
}

impl HostOp for TextMove {
    fn placements(&self) -> Vec<Placement> {
        self.session.placements()
    }

    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError> {
        let HostCall { node, inputs, .. } = *call;
        let mut texts: Vec<&str> = vec![""];
        let mut numbered: Vec<Option<Tensor>> = Vec::with_capacity(inputs.len());
        for tensor in inputs {
            let Some((tensor, own)) = tensor.and_then(|tensor| Some((tensor, tensor.as_str()?)))
            else {
                numbered.push(None);
                continue;
            };
            let first = texts.len() as i64;
            texts.extend(own.iter().map(String::as_str));
            let numbers: Vec<i64> = (first..first + own.len() as i64).collect();
            numbered.push(Some(Tensor::from_parts(tensor.shape().to_vec(), numbers.into())));
        }
        let mut given = Vec::with_capacity(inputs.len());
        for slot in self.session.graph().inputs().iter().map(|input| input.name.parse::<usize>()) {
            let slot = slot.map_err(|error| refuse(node, error.to_string()))?;
            given.push(match numbered.get(slot) {
                Some(Some(numbers)) => numbers,
                _ => input(node, inputs, slot)?,
            });
        }
        let mut outputs = Vec::new();
        self.session.run_values(&given, &mut outputs).map_err(|error| within(node, error))?;
        let text = |number: &i64| {
            usize::try_from(*number).ok().and_then(|at| texts.get(at)).copied().unwrap_or("")
        };
        let restored = outputs.into_iter().map(|tensor| match tensor.data() {
            Data::I64(numbers) => {
                let own: Vec<String> = numbers.iter().map(|n| text(n).to_owned()).collect();
                Tensor::from_parts(tensor.shape().to_vec(), own.into())
            }
            _ => tensor,
        });
        Ok(restored.collect())
    }
}
