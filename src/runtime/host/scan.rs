//! `Scan`: a body along an axis of its inputs.

use super::repeat::expected;
use super::stack::{Stack, take};
use super::{HostCall, HostOp, Nested, input, refuse, within};
use crate::graph::{DType, Node, Tensor};
use crate::ops::Scan;
use crate::runtime::{Placement, RunError, Session};

/// The Session of a body, which keeps the plans of the sizes that it met.
pub(super) struct Steps {
    op: Scan,
    session: Session,
    /// What the body gave last; the memory is used again.
    given: Vec<Tensor>,
    /// The states before the next step.
    states: Vec<Tensor>,
    /// The steps of the sequences.
    steps: Vec<Tensor>,
}

impl Steps {
    /// Makes the Session of the body.
    ///
    /// # Errors
    /// If the device lacks an operator of it.
    pub(super) fn new(op: &Scan, node: &Node, nested: &Nested) -> Result<Steps, RunError> {
        let session = nested.session(node, &op.body)?;
        let (given, states, steps) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Steps { op: op.clone(), session, given, states, steps })
    }

    /// How many steps all sequences have.
    fn count(&self, node: &Node, sequences: &[&Tensor]) -> Result<usize, RunError> {
        let mut count = None;
        for (scan, sequence) in self.op.sequences.iter().zip(sequences) {
            match (count, sequence.shape().get(scan.axis)) {
                (None, Some(&own)) => count = Some(own),
                (Some(count), Some(&own)) if count == own => {}
                (_, own) => {
                    let (own, count) = (own.copied().unwrap_or(0), count.unwrap_or(0));
                    let reason = format!("its sequences have {count} and {own} steps");
                    return Err(refuse(node, reason));
                }
            }
        }
        Ok(count.unwrap_or(0))
    }
}

impl HostOp for Steps {
    fn placements(&self) -> Vec<Placement> {
        self.session.placements()
    }

    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError> {
        let HostCall { node, inputs, bindings } = *call;
        let states = self.op.states;
        let values = (0..self.op.body.inputs().len()).map(|slot| input(node, inputs, slot));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let (initial, rest) = values.split_at(states);
        let (sequences, taken) = rest.split_at(self.op.sequences.len());
        let count = self.count(node, sequences)?;
        let outputs = &self.op.body.outputs()[states..];
        let types = outputs.iter().map(|output| self.op.body.ty(output.value).dtype);
        let mut stacks: Vec<Stack> = types.map(Stack::new).collect();
        let none = || Tensor::zeros(DType::F32, [0]);
        self.states.resize_with(states, none);
        self.steps.resize_with(sequences.len(), none);
        for index in 0..count {
            let pairs = self.op.sequences.iter().zip(sequences).zip(&mut self.steps);
            for ((scan, sequence), step) in pairs {
                let at = if scan.reverse { count - 1 - index } else { index };
                take(sequence, scan.axis, at, step);
            }
            let mut given: Vec<&Tensor> = Vec::with_capacity(values.len());
            match index {
                0 => given.extend(initial),
                _ => given.extend(&self.states),
            }
            given.extend(&self.steps);
            given.extend(taken);
            let ran = self.session.run_values(&given, &mut self.given);
            ran.map_err(|error| within(node, error))?;
            for (slot, value) in self.states.iter_mut().zip(&mut self.given) {
                std::mem::swap(slot, value);
            }
            for ((stack, output), step) in stacks.iter_mut().zip(outputs).zip(&self.given[states..])
            {
                stack.push(node, &output.name, step)?;
            }
        }
        let mut results: Vec<Tensor> = match count {
            0 => initial.iter().map(|&tensor| tensor.clone()).collect(),
            _ => std::mem::take(&mut self.states),
        };
        let types = self.op.outputs.iter().skip(states);
        for ((stack, ty), scan) in stacks.into_iter().zip(types).zip(&self.op.results) {
            results.push(stack.finish(scan.axis, scan.reverse, &expected(ty, scan.axis, bindings)));
        }
        Ok(results)
    }
}
