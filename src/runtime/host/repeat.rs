//! `Loop`: a body over and over.

use super::stack::Stack;
use super::{HostCall, HostOp, Nested, flag, input, refuse, within};
use crate::graph::{Bindings, DType, Data, Node, Tensor, TensorType};
use crate::ops::Loop;
use crate::runtime::{Placement, RunError, Session};

/// How many rounds a loop may take: far more than any sequence has steps.
const ROUNDS: i64 = 1 << 20;

/// The Session of a body, which keeps the plans of the sizes that it met.
pub(super) struct Repeat {
    op: Loop,
    session: Session,
    /// What the body gave last; the memory is used again.
    given: Vec<Tensor>,
    /// The carried values before the next iteration.
    carried: Vec<Tensor>,
}

impl Repeat {
    /// Makes the Session of the body.
    ///
    /// # Errors
    /// If the device lacks an operator of it.
    pub(super) fn new(op: &Loop, node: &Node, nested: &Nested) -> Result<Repeat, RunError> {
        let session = nested.session(node, &op.body)?;
        Ok(Repeat { op: op.clone(), session, given: Vec::new(), carried: Vec::new() })
    }

    /// A scalar for input `index` of the body, which may want it with an axis.
    fn single(&self, index: usize, data: impl Into<Data>) -> Tensor {
        let rank = self.op.body.ty(self.op.body.inputs()[index].value).rank();
        Tensor::from_parts(vec![1; rank], data.into())
    }

    /// Whether the body hands on the condition that it gets, so that the count alone ends the loop.
    fn counts_only(&self) -> bool {
        let (body, condition) = (&self.op.body, &self.op.body.outputs()[0]);
        condition.value == body.inputs()[1].value
    }

    /// The outputs of all iterations that are not carried, stacked.
    fn collected(&self, stacks: Vec<Stack>, sizes: &Bindings) -> impl Iterator<Item = Tensor> {
        let types = self.op.outputs.iter().skip(self.op.carried);
        stacks
            .into_iter()
            .zip(types)
            .map(|(stack, ty)| stack.finish(0, false, &expected(ty, 0, sizes)))
    }
}

/// The shape of a step of results of type `ty` along `axis`, where there was none: sizes that are
/// not known count as 0.
pub(super) fn expected(ty: &TensorType, axis: usize, sizes: &Bindings) -> Vec<usize> {
    let mut shape: Vec<usize> = ty.dims.iter().map(|dim| dim.eval(sizes).unwrap_or(0)).collect();
    if axis < shape.len() {
        shape.remove(axis);
    }
    shape
}

impl HostOp for Repeat {
    fn placements(&self) -> Vec<Placement> {
        self.session.placements()
    }

    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError> {
        let HostCall { node, inputs, bindings } = *call;
        let (first, carried) = (Loop::FIRST, self.op.carried);
        let limit = inputs.first().copied().flatten().map(|trips| trips_of(node, trips));
        let limit = limit.transpose()?.unwrap_or(i64::MAX);
        let condition = inputs.get(1).copied().flatten();
        let condition = condition.map(|tensor| flag(node, "`condition`", tensor)).transpose()?;
        let mut goes_on = condition.unwrap_or(true);
        let values = (first..self.op.body.inputs().len()).map(|slot| input(node, inputs, slot));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let (initial, taken) = values.split_at(carried);
        let outputs = &self.op.body.outputs()[1 + carried..];
        let types = outputs.iter().map(|output| self.op.body.ty(output.value).dtype);
        let mut stacks: Vec<Stack> = types.map(Stack::new).collect();
        self.carried.resize_with(carried, || Tensor::zeros(DType::F32, [0]));
        if goes_on && limit > ROUNDS && self.counts_only() {
            return Err(too_many(node, limit));
        }
        let mut trip = 0;
        while goes_on && trip < limit {
            if trip >= ROUNDS {
                return Err(too_many(node, limit));
            }
            let (number, truth) = (self.single(0, vec![trip]), self.single(1, vec![true]));
            let mut given: Vec<&Tensor> = Vec::with_capacity(first + values.len());
            given.extend([&number, &truth]);
            match trip {
                0 => given.extend(initial),
                _ => given.extend(&self.carried),
            }
            given.extend(taken);
            let ran = self.session.run_values(&given, &mut self.given);
            ran.map_err(|error| within(node, error))?;
            goes_on = flag(node, "the body's condition", &self.given[0])?;
            for (slot, value) in self.carried.iter_mut().zip(&mut self.given[1..]) {
                std::mem::swap(slot, value);
            }
            for ((stack, output), step) in
                stacks.iter_mut().zip(outputs).zip(&self.given[1 + carried..])
            {
                stack.push(node, &output.name, step)?;
            }
            trip += 1;
        }
        let mut results: Vec<Tensor> = match trip {
            0 => initial.iter().map(|&tensor| tensor.clone()).collect(),
            _ => std::mem::take(&mut self.carried),
        };
        results.extend(self.collected(stacks, bindings));
        Ok(results)
    }
}

fn too_many(node: &Node, limit: i64) -> RunError {
    let count = match limit {
        i64::MAX => "without end".to_owned(),
        limit => format!("for up to {limit} rounds"),
    };
    refuse(node, format!("it would go on {count}; {ROUNDS} are the most that are run"))
}

fn trips_of(node: &Node, trips: &Tensor) -> Result<i64, RunError> {
    match trips.data() {
        Data::I64(values) if values.len() == 1 => Ok(values[0]),
        Data::I32(values) if values.len() == 1 => Ok(values[0].into()),
        _ => Err(refuse(
            node,
            format!(
                "`trip_count` is {} of shape {:?}, expected one integer",
                trips.dtype(),
                trips.shape()
            ),
        )),
    }
}
