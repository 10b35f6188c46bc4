//! A loop's steps, its values around, and the layer put in its place.

use std::collections::HashMap;

use super::algebra::{Read, Reader};
use super::cell::Miss;
use super::layer::{self, Around, Given};
use super::step::{Recurrence, Role};
use crate::graph::{Graph, GraphError, Source, ValueId};
use crate::ops::{Reverse, Transpose};

/// The values of a body, as values of the Graph around it.
#[derive(Debug)]
pub struct Borders<'b> {
    body: &'b Graph,
    /// Inputs of the body that are the same in every step, or the sequences of a scan.
    outer: HashMap<ValueId, ValueId>,
    /// What was copied out of the body.
    copied: HashMap<ValueId, ValueId>,
    seen: HashMap<ValueId, ValueId>,
}

impl<'b> Borders<'b> {
    /// No value known yet.
    pub fn new(body: &'b Graph) -> Borders<'b> {
        let (outer, copied, seen) = (HashMap::new(), HashMap::new(), HashMap::new());
        Borders { body, outer, copied, seen }
    }

    /// Lets an input of the body be `outer` in every step.
    pub fn fix(&mut self, reader: &mut Reader<'_>, graph: &Graph, inner: ValueId, outer: ValueId) {
        reader.set_fixed(inner, super::outside::number(graph, outer));
        match self.seen.get(&outer) {
            Some(first) => reader.set_same(inner, *first),
            None => {
                self.seen.insert(outer, inner);
            }
        }
        self.outer.insert(inner, outer);
    }

    /// Lets an input of the body be a step of `outer`.
    pub fn sequence(&mut self, inner: ValueId, outer: ValueId) {
        self.outer.insert(inner, outer);
    }

    /// What an input of the body is around it.
    pub fn outer(&self, inner: ValueId) -> Option<ValueId> {
        self.outer.get(&inner).copied()
    }

    /// A value of the body that is the same in every step, in `graph`.
    ///
    /// # Errors
    /// If it is not the same in every step.
    pub fn resolve(&mut self, graph: &mut Graph, inner: ValueId) -> Result<ValueId, GraphError> {
        if let Some(outer) = self.outer.get(&inner).or_else(|| self.copied.get(&inner)) {
            return Ok(*outer);
        }
        let found = match &self.body.value(inner).source {
            Source::Constant(tensor) => graph.constant_shared(tensor.clone()),
            Source::Variable(id) => {
                let name = &self.body.variable(*id).name;
                let known = graph.variables().iter().position(|variable| variable.name == *name);
                match known {
                    Some(index) => graph.read(crate::graph::VariableId(index)),
                    None => graph.constant_shared(self.body.variable(*id).value.clone()),
                }
            }
            Source::Node { node, output } => {
                let node = self.body.node(*node);
                let mut inputs = Vec::with_capacity(node.inputs.len());
                for input in &node.inputs {
                    inputs.push(match input {
                        Some(input) => Some(self.resolve(graph, *input)?),
                        None => None,
                    });
                }
                let outputs = graph.add_node(&node.name, node.op.clone(), inputs)?;
                let missing = || GraphError::Invalid(format!("`{}` has no output", node.name));
                *outputs.get(*output).ok_or_else(missing)?
            }
            Source::Input(_) => {
                let what = "a weight of a loop that differs from step to step";
                return Err(GraphError::Invalid(what.to_owned()));
            }
        };
        self.copied.insert(inner, found);
        Ok(found)
    }
}

/// How a loop walks, and what is around it.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    /// The loop's name.
    pub name: &'a str,
    /// Whether the steps of `x` are taken from the last to the first.
    pub is_backward: bool,
    /// The first value of each state, in the order of the states.
    pub first: &'a [ValueId],
}

/// Puts the layer into `graph`.
///
/// # Errors
/// If an operator refuses its inputs, which would be a fault of the recogniser.
pub fn put(
    graph: &mut Graph,
    found: &Recurrence,
    borders: &mut Borders<'_>,
    walk: &Walk<'_>,
) -> Result<Given, GraphError> {
    let missing = || GraphError::Invalid(format!("{}: a sequence is not there", walk.name));
    let x = borders.outer(found.x.sequence).ok_or_else(missing)?;
    let x = layer::batch_first(graph, walk.name, x, found.x.axis)?;
    let mask = match found.mask {
        None => None,
        Some(mask) => {
            let outer = borders.outer(mask.read.sequence).ok_or_else(missing)?;
            let sequence = (outer, mask.read.axis);
            Some(layer::mask(graph, walk.name, sequence, mask.is_inverted)?)
        }
    };
    let first = |role: Role| {
        let state = found.roles.iter().position(|own| *own == role)?;
        let value = *walk.first.get(state)?;
        // A state that starts as zero is left out.
        (super::outside::number(graph, value) != Some(0.0)).then_some(value)
    };
    let (hidden, cell) = (first(Role::Hidden), first(Role::Cell));
    let around = Around { name: walk.name, x, mask, hidden, cell, is_backward: walk.is_backward };
    layer::add(graph, found, &around, &mut |graph, value| borders.resolve(graph, value))
}

/// The sequence `[batch, time, units]` of a layer as a loop stacks it: in the order of its steps, along
/// `axis`.
///
/// # Errors
/// If the operators refuse it, which would be a fault of ours.
pub fn stacked(
    graph: &mut Graph,
    walk: &Walk<'_>,
    sequence: ValueId,
    (axis, is_reversed): (usize, bool),
) -> Result<ValueId, GraphError> {
    let mut sequence = sequence;
    if is_reversed {
        sequence = graph.add_one(walk.name, Reverse { axis: 1 }, &[sequence])?;
    }
    let permutation = match axis {
        0 => vec![1, 0, 2],
        1 => return Ok(sequence),
        _ => vec![0, 2, 1],
    };
    graph.add_one(walk.name, Transpose { permutation }, &[sequence])
}

/// What each state is after the last step; the values that nobody takes are the first ones.
pub fn finals(found: &Recurrence, given: &Given, first: &[ValueId]) -> Vec<ValueId> {
    let values = found.roles.iter().zip(first).map(|(role, first)| match role {
        Role::Hidden => given.hidden,
        Role::Cell => given.cell.unwrap_or(*first),
        Role::Output => given.last,
        Role::Unused => *first,
    });
    values.collect()
}

/// Checks that a sequence has weights that no run changes, which the fused operators pack.
///
/// # Errors
/// If a weight is computed in the run; the text names it.
pub fn same_weights(graph: &Graph, values: &[ValueId]) -> Result<(), Miss> {
    let mut open = values.to_vec();
    while let Some(id) = open.pop() {
        match &graph.value(id).source {
            Source::Constant(_) => {}
            Source::Variable(variable) if !graph.is_kept(*variable) => {}
            Source::Node { node, .. } => {
                let node = graph.node(*node);
                if graph.on_host(node) || node.inputs.is_empty() {
                    return Err(format!("a weight is computed by `{}` in the run", node.name));
                }
                open.extend(node.inputs.iter().flatten());
            }
            _ => return Err("a weight is given with the run".to_owned()),
        }
    }
    Ok(())
}

/// The reads of a step: those of the layer's sequence and mask.
pub fn reads(found: &Recurrence) -> impl Iterator<Item = Read> {
    std::iter::once(found.x).chain(found.mask.map(|mask| mask.read))
}
