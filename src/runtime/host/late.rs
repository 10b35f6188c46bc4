//! `Late`: Graphs that are built from the inputs of a run.

use super::{HostCall, HostOp, Nested, refuse, within};
use crate::graph::{DType, Data, Node, Tensor};
use crate::ops::Late;
use crate::runtime::{Placement, RunError, Session};

/// How many built Graphs a node keeps.
const KEPT: usize = 16;
/// Bytes of needed values above which a Graph is not kept for the next run: comparing them, and
/// keeping them, would cost more than it saves.
const LARGEST: usize = 64 << 10;

/// What a Graph was built for.
struct Key {
    /// Types and shapes of the inputs.
    shapes: Vec<Option<(DType, Vec<usize>)>>,
    /// The values that it needed.
    values: Vec<Tensor>,
}

/// The Sessions of the Graphs that were built last, the latest at the end.
pub(super) struct Built {
    nested: Nested,
    sessions: Vec<(Key, Session)>,
}

impl Built {
    /// None yet.
    pub(super) fn new(nested: &Nested) -> Built {
        Built { nested: nested.clone(), sessions: Vec::new() }
    }

    /// The Session for these inputs, built if it is not there.
    fn session(
        &mut self,
        op: &Late,
        node: &Node,
        inputs: &[Option<&Tensor>],
    ) -> Result<&mut Session, RunError> {
        let needs = op.build.needs();
        let needed = needs.iter().filter_map(|&slot| inputs.get(slot).copied().flatten());
        let needed: Vec<&Tensor> = needed.collect();
        let found = self.sessions.iter().position(|(key, _)| key.is_for(inputs, &needed));
        match found {
            Some(index) => self.sessions[index..].rotate_left(1),
            None => {
                let graph = op.build.build(inputs).map_err(|source| RunError::Late {
                    node: node.name.clone(),
                    operation: op.build.name().to_owned(),
                    source,
                })?;
                let outputs = graph.outputs().len();
                if outputs != op.outputs.len() {
                    let expected = op.outputs.len();
                    let reason = format!("what was built has {outputs} outputs, not {expected}");
                    return Err(refuse(node, reason));
                }
                let session = self.nested.session(node, &graph)?;
                // One that is too large to be found again goes first.
                if self.sessions.len() >= KEPT
                    || self.sessions.last().is_some_and(|(key, _)| key.size() > LARGEST)
                {
                    let last = self.sessions.len() - 1;
                    let oldest = if self.sessions[last].0.size() > LARGEST { last } else { 0 };
                    self.sessions.remove(oldest);
                }
                self.sessions.push((Key::new(inputs, &needed), session));
            }
        }
        let last = self.sessions.len() - 1;
        Ok(&mut self.sessions[last].1)
    }
}

impl Key {
    fn new(inputs: &[Option<&Tensor>], needed: &[&Tensor]) -> Key {
        let shape = |tensor: &Tensor| (tensor.dtype(), tensor.shape().to_vec());
        Key {
            shapes: inputs.iter().map(|input| input.map(shape)).collect(),
            values: needed.iter().map(|&tensor| tensor.clone()).collect(),
        }
    }

    fn is_for(&self, inputs: &[Option<&Tensor>], needed: &[&Tensor]) -> bool {
        let same =
            |(own, input): (&Option<(DType, Vec<usize>)>, &Option<&Tensor>)| match (own, input) {
                (Some((dtype, shape)), Some(tensor)) => {
                    *dtype == tensor.dtype() && shape == tensor.shape()
                }
                (None, None) => true,
                _ => false,
            };
        self.size() <= LARGEST
            && self.shapes.len() == inputs.len()
            && self.shapes.iter().zip(inputs).all(same)
            && self.values.iter().zip(needed).all(|(own, given)| same_bits(own, given))
    }

    fn size(&self) -> usize {
        let size = |tensor: &Tensor| match tensor.data() {
            Data::Str(texts) => texts.iter().map(String::len).sum(),
            data => data.len() * data.dtype().size(),
        };
        self.values.iter().map(size).sum()
    }
}

/// Whether two tensors are the same to the bit: NaN equals itself, and 0 is not -0.
fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    match (a.data(), b.data()) {
        (Data::F32(_) | Data::F64(_) | Data::F16(_), _) => {
            a.dtype() == b.dtype() && a.data().to_le_bytes() == b.data().to_le_bytes()
        }
        (a, b) => a == b,
    }
}

impl HostOp for Built {
    fn placements(&self) -> Vec<Placement> {
        self.sessions.iter().flat_map(|(_, session)| session.placements()).collect()
    }

    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError> {
        let HostCall { node, inputs, .. } = *call;
        let Some(op) = node.op.downcast_ref::<Late>() else {
            return Err(refuse(node, "it is another operator than its type says"));
        };
        let session = self.session(op, node, inputs)?;
        let mut given = Vec::with_capacity(session.graph().inputs().len());
        for input in session.graph().inputs() {
            let slot = (0..inputs.len()).find(|&slot| input.name == Late::input_name(slot));
            match slot.and_then(|slot| inputs[slot]) {
                Some(tensor) => given.push(tensor),
                None => {
                    let reason = format!("what was built takes `{}`, which is none", input.name);
                    return Err(refuse(node, reason));
                }
            }
        }
        let mut outputs = Vec::new();
        session.run_values(&given, &mut outputs).map_err(|error| within(node, error))?;
        Ok(outputs)
    }
}
