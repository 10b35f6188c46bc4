//! The order of evaluation: each node after those whose outputs it takes.

use std::collections::{HashMap, HashSet};

use super::error::OnnxError;
use super::proto::{GraphProto, NodeProto};

/// The positions of the nodes in an order in which each stands after those whose outputs it takes; the
/// file's own order where it is such a one.
///
/// # Errors
/// If nodes depend on each other in a circle; the message names some of them.
pub fn sort(nodes: &[NodeProto]) -> Result<Vec<usize>, OnnxError> {
    let mut producers: HashMap<&str, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            producers.insert(output, index);
        }
    }
    let mut takers: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waiting = vec![0usize; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let needed: HashSet<usize> =
            needed(node).into_iter().filter_map(|name| producers.get(name).copied()).collect();
        waiting[index] = needed.len();
        needed.into_iter().for_each(|producer| takers[producer].push(index));
    }
    let mut ready: std::collections::BTreeSet<usize> =
        (0..nodes.len()).filter(|&index| waiting[index] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &taker in &takers[index] {
            waiting[taker] -= 1;
            if waiting[taker] == 0 {
                ready.insert(taker);
            }
        }
    }
    if order.len() == nodes.len() {
        return Ok(order);
    }
    let stuck = nodes.iter().zip(&waiting).filter(|(_, waiting)| **waiting > 0);
    let names: Vec<&str> = stuck
        .take(4)
        .map(|(node, _)| match node.name.is_empty() {
            true => node.output.first().map_or("", String::as_str),
            false => node.name.as_str(),
        })
        .collect();
    let problem = format!("has nodes that depend on each other in a circle: {}", names.join(", "));
    Err(OnnxError::Model { problem })
}

/// The names that a node takes: its inputs, and what its subgraphs take from around them.
pub fn needed(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    for graph in node.attribute.iter().filter_map(|attribute| attribute.g.as_deref()) {
        names.extend(captured(graph));
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The names that a subgraph takes from the graphs around it, each once, in the order of their use.
pub fn captured(graph: &GraphProto) -> Vec<&str> {
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let initializers = graph.initializer.iter().map(|tensor| tensor.name.as_str());
    let outputs = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
    let own: HashSet<&str> = inputs.chain(initializers).chain(outputs).collect();
    let taken = graph.node.iter().flat_map(needed);
    let taken = taken.chain(graph.output.iter().map(|output| output.name.as_str()));
    let mut found = HashSet::new();
    taken.filter(|name| !own.contains(name) && found.insert(*name)).collect()
}
