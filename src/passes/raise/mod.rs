//! Raising: what exporters spell out becomes the fused operator that it was.
//!
//! Each file has one pattern as a rule: what it matches and what stands in its place. A rule decides by
//! what is computed, not by how it is written: the steps of loops are compared as formulas
//! ([`algebra`]). Where a rule nearly held, it leaves a [`Note`] that says why it did not.

mod algebra;
mod attention;
mod bidirectional;
mod cell;
mod choice;
mod expand;
mod frame;
mod gelu;
mod layer;
mod layer_norm;
mod layers;
mod outside;
mod repeat;
mod reshapes;
mod reversal;
mod rows;
mod scan;
mod step;
mod symbols;
#[cfg(test)]
mod tests;
mod transposes;
mod unrolled;
mod weights;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use self::symbols::Renamed;
use super::{remove_dead, simplify};
use crate::graph::{Dim, Edit, Graph, GraphError, Node, TensorType, ValueId};
use crate::ops::{Loop, Scan};

/// So many layers on top of each other are raised.
const LAYERS: usize = 32;

/// Why a rule that nearly held did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The name of the node that it was about.
    pub node: String,
    /// What it would have become.
    pub rule: &'static str,
    /// What was missing.
    pub reason: String,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is no {}: {}", self.node, self.rule, self.reason)
    }
}

/// The Graph with fused operators in place of what exporters spell out, and notes on what nearly was one.
///
/// # Errors
/// If a rule makes a Graph that is not valid.
pub fn raise(graph: &Graph) -> Result<(Graph, Vec<Note>), GraphError> {
    let mut notes = Vec::new();
    let graph = loops(graph, &mut notes)?;
    let mut graph = transposes::join(&graph)?;
    // Cells on top of cells: the steps of the lower layer are a sequence now.
    for _ in 0..LAYERS {
        let Some(raised) = cells(&graph, &mut notes)? else { break };
        graph = remove_dead(&raised)?;
    }
    let graph = gelu::raise(&layer_norm::raise(&choice::raise(&graph)?)?)?;
    let graph = attention::raise(&graph, &mut notes)?;
    let mut graph = moved(&reversal::raise(&moved(&layers::joined(&moved(&graph)?)?)?)?)?;
    graph = layers::last(&graph)?;
    // A layer above another takes what that one gives once it is one.
    for _ in 0..LAYERS {
        graph = remove_dead(&graph)?;
        let Some(joined) = bidirectional::raise(&graph)? else { break };
        graph = moved(&joined)?;
    }
    Ok((remove_dead(&graph)?, notes))
}

/// Cells that are written out become a layer, of one chain at a time; `None` if there are none.
fn cells(graph: &Graph, notes: &mut Vec<Note>) -> Result<Option<Graph>, GraphError> {
    let mut unrolled = |graph: &Graph| {
        // What an operator refuses stays as it is.
        unrolled::raise(graph).unwrap_or_else(|error| {
            let (node, reason) = (graph.name().to_owned(), error.to_string());
            notes.push(Note { node, rule: "recurrent layer", reason });
            None
        })
    };
    Ok(match unrolled(graph) {
        Some(raised) => Some(raised),
        None => rows::spread(graph)?.and_then(|spread| unrolled(&spread)),
    })
}

/// The Graph without transposes and reshapes of each other.
fn moved(graph: &Graph) -> Result<Graph, GraphError> {
    reshapes::join(&simplify(&transposes::join(&reshapes::join(graph)?)?)?)
}

/// Loops and scans become recurrent layers.
fn loops(graph: &Graph, notes: &mut Vec<Note>) -> Result<Graph, GraphError> {
    let is_loop = |node: &Node| {
        node.op.downcast_ref::<Loop>().is_some() || node.op.downcast_ref::<Scan>().is_some()
    };
    if !graph.nodes().iter().any(is_loop) {
        return Ok(graph.clone());
    }
    let used = used(graph);
    let mut renamed = Renamed::default();
    graph.rewrite(|new, node, inputs| {
        let op = renamed.operator(&node.op);
        let op = op.as_ref().unwrap_or(&node.op);
        let wanted: Vec<bool> = node.outputs.iter().map(|id| used.contains(id)).collect();
        let raised = if let Some(op) = op.downcast_ref::<Loop>() {
            repeat::raise(new, node, op, inputs, &wanted)
        } else if let Some(op) = op.downcast_ref::<Scan>() {
            scan::raise(new, node, op, inputs, &wanted)
        } else {
            let outputs = new.add_node(&node.name, Arc::clone(op), inputs.to_vec())?;
            learn(&mut renamed, graph, new, node, &outputs, |_| true);
            return Ok(Edit::Replace(outputs));
        };
        // What the operator refuses stays as it is.
        match raised.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(outputs) => {
                learn(&mut renamed, graph, new, node, &outputs, |index| wanted[index]);
                Ok(Edit::Replace(outputs))
            }
            Err(reason) => {
                notes.push(Note { node: node.name.clone(), rule: "recurrent layer", reason });
                let outputs = new.add_node(&node.name, Arc::clone(op), inputs.to_vec())?;
                Ok(Edit::Replace(outputs))
            }
        }
    })
}

/// Learns how the sizes of a node's outputs are named now.
fn learn(
    renamed: &mut Renamed,
    old: &Graph,
    new: &Graph,
    node: &Node,
    outputs: &[ValueId],
    is_meant: impl Fn(usize) -> bool,
) {
    for (index, (before, after)) in node.outputs.iter().zip(outputs).enumerate() {
        if is_meant(index) {
            let (before, after): (&TensorType, &TensorType) = (old.ty(*before), new.ty(*after));
            renamed.learn(before, after);
        }
    }
}

/// Whether sizes are the same, or one is what the other broadcasts to with a third: a mask that a model
/// takes beside its sequence has a batch of a name of its own, which attention checks in a run.
fn same(a: &[Dim], b: &[Dim]) -> bool {
    let names = |dim: &Dim| {
        let mut names = Vec::new();
        dim.symbols(&mut names);
        names
    };
    let within = |a: &Dim, b: &Dim| {
        let (a, b) = (names(a), names(b));
        !a.is_empty() && a.iter().all(|name| b.contains(name))
    };
    let is_same = |(a, b): (&Dim, &Dim)| a == b || within(a, b) || within(b, a);
    a.len() == b.len() && a.iter().zip(b).all(is_same)
}

/// The values that a node, an output or an update takes.
fn used(graph: &Graph) -> HashSet<ValueId> {
    let taken = graph.nodes().iter().flat_map(|node| node.inputs.iter().flatten().copied());
    let outputs = graph.outputs().iter().flat_map(|output| [Some(output.value), output.mask]);
    let updates = graph.updates().iter().map(|(_, value)| *value);
    taken.chain(outputs.flatten()).chain(updates).collect()
}

/// The Graph in which each of `found` has what `make` adds in place of the value `output` gives; where it
/// adds nothing, that stays. `make` sees the old values' new ones, as far as nodes before took them.
fn replace<T>(
    graph: &Graph,
    found: &[T],
    output: impl Fn(&T) -> ValueId,
    make: impl Fn(
        &mut Graph,
        &str,
        &T,
        &HashMap<ValueId, ValueId>,
    ) -> Result<Option<ValueId>, GraphError>,
) -> Result<Graph, GraphError> {
    if found.is_empty() {
        return Ok(graph.clone());
    }
    let places: HashMap<ValueId, &T> = found.iter().map(|one| (output(one), one)).collect();
    let mut seen: HashMap<ValueId, ValueId> = HashMap::new();
    graph.rewrite(|new, node, inputs| {
        let pairs = node.inputs.iter().zip(inputs);
        seen.extend(pairs.filter_map(|(old, new)| Some(((*old)?, (*new)?))));
        let [value] = node.outputs[..] else { return Ok(Edit::Keep) };
        let Some(one) = places.get(&value) else { return Ok(Edit::Keep) };
        Ok(match make(new, &node.name, one, &seen)? {
            Some(value) => Edit::Replace(vec![value]),
            None => Edit::Keep,
        })
    })
}
