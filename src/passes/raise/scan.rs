//! A `Scan` over the steps of a sequence becomes a recurrent layer.

use super::algebra::{Index, Read, Reader};
use super::frame::{self, Borders, Walk};
use super::outside;
use super::repeat::{Raised, fixed_weights};
use super::step::{State, recognise};
use crate::graph::{DType, Graph, Node, ValueId};
use crate::ops::Scan;

/// Puts a layer in place of the scan `node` with `inputs` of `graph`; `wanted` says which of its outputs
/// somebody takes.
///
/// # Errors
/// If an operator refuses its inputs, which would be a fault of ours.
pub fn raise(
    graph: &mut Graph,
    node: &Node,
    op: &Scan,
    inputs: &[Option<ValueId>],
    wanted: &[bool],
) -> Raised {
    let body = &*op.body;
    let (mut reader, mut borders) = (Reader::new(body), Borders::new(body));
    let Some(inputs) = inputs.iter().copied().collect::<Option<Vec<ValueId>>>() else {
        return Ok(Err("an input is not there".to_owned()));
    };
    if op.results.iter().any(|result| result.axis > 1) {
        return Ok(Err("it collects along the last axis".to_owned()));
    }
    let mut states = Vec::with_capacity(op.states);
    let pairs = body.inputs().iter().map(|input| input.value).zip(inputs.iter().copied());
    for (index, (inner, outer)) in pairs.enumerate() {
        if let Some(sequence) = index.checked_sub(op.states).and_then(|at| op.sequences.get(at)) {
            reader.set_row(inner);
            let step = Index { scale: 1, offset: 0, value: None };
            let (value, axis) = (inner, sequence.axis);
            reader.reads.push(Read { value, sequence: inner, axis, index: step });
            borders.sequence(inner, outer);
            continue;
        }
        let Some(after) = body.outputs().get(index).filter(|_| index < op.states) else {
            borders.fix(&mut reader, graph, inner, outer);
            continue;
        };
        if !reader.set_row(inner) || body.ty(inner).dtype != DType::F32 {
            return Ok(Err("a state is no row of known width".to_owned()));
        }
        let is_zero = outside::number(graph, outer) == Some(0.0);
        let is_wanted = wanted.get(index) == Some(&true);
        states.push(State { before: inner, after: after.value, is_zero, is_wanted });
    }
    for node in body.nodes() {
        reader.read(node);
    }
    let collected = op.states..op.states + op.results.len();
    let results = collected.clone().filter(|index| wanted.get(*index) == Some(&true));
    let results: Vec<ValueId> = results.map(|index| body.outputs()[index].value).collect();
    let found = match recognise(&mut reader, &states, &results) {
        Ok(found) => found,
        Err(miss) => return Ok(Err(miss)),
    };
    let mut backward = frame::reads(&found).map(|read| {
        let place = body.inputs().iter().position(|input| input.value == read.value);
        let scan = place.and_then(|place| op.sequences.get(place - op.states));
        scan.is_some_and(|scan| scan.reverse)
    });
    let is_backward = backward.next().unwrap_or(false);
    if backward.any(|own| own != is_backward) {
        return Ok(Err("x and mask are walked in opposite directions".to_owned()));
    }
    if let Err(miss) = fixed_weights(graph, &found, &borders, body) {
        return Ok(Err(miss));
    }
    let first = &inputs[..op.states];
    let walk = Walk { name: &node.name, is_backward, first };
    let given = frame::put(graph, &found, &mut borders, &walk)?;
    let mut outputs = frame::finals(&found, &given, first);
    for index in collected {
        let result = op.results[index - op.states];
        // A result that is collected backwards puts its first step last.
        let turn = is_backward != result.reverse;
        outputs.push(match wanted.get(index) {
            Some(true) => frame::stacked(graph, &walk, given.sequence, (result.axis, turn))?,
            _ => given.sequence,
        });
    }
    Ok(Ok(outputs))
}
