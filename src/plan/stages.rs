//! Cuts a Graph into stages.

use std::collections::HashMap;

use crate::graph::{Dim, Graph, NodeId, Source, Symbol, ValueId, VariableId};

/// Nodes that can be planned together: all of their sizes are known when the stage begins.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Whether it runs on the host instead of on the device.
    pub on_host: bool,
    /// The nodes, in order.
    pub nodes: Vec<NodeId>,
    /// Values from outside whose shapes the plan depends on: inputs of the Graph and what earlier
    /// stages left.
    pub inputs: Vec<ValueId>,
    /// Values that later stages, outputs or updates take from here.
    pub outputs: Vec<ValueId>,
    /// The symbols that its shapes are made of.
    pub symbols: Vec<Symbol>,
}

/// A Graph and its stages in order.
#[derive(Clone, Debug)]
pub struct Program {
    graph: Graph,
    stages: Vec<Stage>,
    carried: HashMap<ValueId, usize>,
    in_place: HashMap<ValueId, VariableId>,
}

impl Program {
    /// Cuts `graph` into stages.
    ///
    /// Work on the host (on text, and what runs Graphs of its own) is a stage of its own, and what
    /// follows it begins a new one, because its sizes may depend on data.
    pub fn new(graph: Graph) -> Program {
        let levels = levels(&graph);
        let mut stages: Vec<(bool, Vec<NodeId>)> = Vec::new();
        for level in 0..=levels.iter().copied().max().unwrap_or(0) {
            for on_host in [false, true] {
                let nodes: Vec<NodeId> = (0..graph.nodes().len())
                    .filter(|&index| levels[index] == level)
                    .filter(|&index| graph.on_host(&graph.nodes()[index]) == on_host)
                    .map(NodeId)
                    .collect();
                if !nodes.is_empty() {
                    stages.push((on_host, nodes));
                }
            }
        }
        let order: Vec<NodeId> = stages.iter().flat_map(|(_, nodes)| nodes.clone()).collect();
        let in_place = in_place(&graph, &order);
        let stages: Vec<Stage> = stages
            .into_iter()
            .map(|(on_host, nodes)| nodes_to_stage(&graph, on_host, nodes, &in_place))
            .collect();
        let carried = stages.iter().flat_map(|stage| stage.outputs.iter().copied());
        let carried = carried.enumerate().map(|(index, id)| (id, index)).collect();
        Program { graph, stages, carried, in_place }
    }

    /// The Variable that the node of this value writes in place.
    pub fn in_place(&self, id: ValueId) -> Option<VariableId> {
        self.in_place.get(&id).copied()
    }

    /// The Graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The stages, in order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The position among the values that are kept when their stage ends.
    pub fn carried(&self, id: ValueId) -> Option<usize> {
        self.carried.get(&id).copied()
    }

    /// How many values are kept when their stage ends.
    pub fn carried_count(&self) -> usize {
        self.carried.len()
    }
}

/// The level of each node: what it needs is there when the stages of the levels before have run.
fn levels(graph: &Graph) -> Vec<usize> {
    let mut levels: Vec<usize> = Vec::with_capacity(graph.nodes().len());
    // From which level on the sizes are there that no input but a host stage tells.
    let given = graph.input_symbols();
    let mut measured: HashMap<Symbol, usize> = HashMap::new();
    for node in graph.nodes() {
        let inputs = node.inputs.iter().flatten().map(|id| match graph.value(*id).source {
            // A host stage's results are there one level later.
            Source::Node { node, .. } => {
                levels[node.index()] + usize::from(graph.on_host(graph.node(node)))
            }
            _ => 0,
        });
        let mut level = inputs.max().unwrap_or(0);
        let on_host = graph.on_host(node);
        let mut symbols = Vec::new();
        node.op.symbols(&mut symbols);
        if !on_host {
            let outputs = node.outputs.iter().flat_map(|id| &graph.ty(*id).dims);
            outputs.for_each(|dim| dim.symbols(&mut symbols));
        }
        for symbol in &symbols {
            level = level.max(measured.get(symbol).copied().unwrap_or(0));
        }
        if on_host {
            let outputs = node.outputs.iter().flat_map(|id| &graph.ty(*id).dims);
            for dim in outputs {
                if let Dim::Symbol(symbol) = dim
                    && !given.contains(symbol)
                {
                    measured.entry(symbol.clone()).or_insert(level + 1);
                }
            }
        }
        levels.push(level);
    }
    levels
}

/// The new values of Variables that can be written over the old ones: their operator says so, and
/// nothing reads the old value afterwards.
fn in_place(graph: &Graph, order: &[NodeId]) -> HashMap<ValueId, VariableId> {
    let mut readers: HashMap<VariableId, NodeId> = HashMap::new();
    for id in order {
        for input in graph.node(*id).inputs.iter().flatten() {
            if let Some(variable) = variable_behind(graph, *input) {
                readers.insert(variable, *id);
            }
        }
    }
    let returned: Vec<VariableId> = graph
        .outputs()
        .iter()
        .map(|output| output.value)
        .chain(graph.updates().iter().map(|(_, value)| *value))
        .filter_map(|id| variable_behind(graph, id))
        .collect();
    let mut found = HashMap::new();
    for (variable, value) in graph.updates() {
        let Source::Node { node, output } = graph.value(*value).source else { continue };
        let op = graph.node(node);
        let slot = op.op.in_place(output).and_then(|slot| op.inputs.get(slot).copied().flatten());
        let is_own = slot.is_some_and(
            |id| matches!(graph.value(id).source, Source::Variable(read) if read == *variable),
        );
        if is_own && readers.get(variable) == Some(&node) && !returned.contains(variable) {
            found.insert(*value, *variable);
        }
    }
    found
}

/// The Variable whose elements a value shows, through views.
fn variable_behind(graph: &Graph, mut id: ValueId) -> Option<VariableId> {
    loop {
        match graph.value(id).source {
            Source::Variable(variable) => return Some(variable),
            Source::Node { node, .. } if graph.node(node).op.is_view() => {
                id = graph.node(node).inputs.first().copied().flatten()?;
            }
            _ => return None,
        }
    }
}

fn nodes_to_stage(
    graph: &Graph,
    on_host: bool,
    nodes: Vec<NodeId>,
    in_place: &HashMap<ValueId, VariableId>,
) -> Stage {
    let inside = |id: NodeId| nodes.binary_search(&id).is_ok();
    let mut outputs: Vec<ValueId> = Vec::new();
    let mut keep = |id: ValueId| {
        if let Source::Node { node, .. } = graph.value(id).source
            && inside(node)
            && !outputs.contains(&id)
        {
            outputs.push(id);
        }
    };
    for (index, node) in graph.nodes().iter().enumerate() {
        if !inside(NodeId(index)) {
            node.inputs.iter().flatten().for_each(|id| keep(*id));
        }
    }
    graph.outputs().iter().for_each(|output| keep(output.value));
    let copied = graph.updates().iter().filter(|(_, value)| !in_place.contains_key(value));
    copied.for_each(|(_, value)| keep(*value));
    let (mut inputs, mut symbols) = (Vec::new(), Vec::new());
    for id in &nodes {
        let node = graph.node(*id);
        for value in node.inputs.iter().flatten() {
            let outside = match graph.value(*value).source {
                Source::Node { node, .. } => !inside(node),
                Source::Input(_) => true,
                Source::Variable(_) | Source::Constant(_) => false,
            };
            if outside && !inputs.contains(value) {
                inputs.push(*value);
            }
        }
        node.op.symbols(&mut symbols);
        // A host stage's own outputs are measured after it ran, not planned by.
        let outputs = if on_host { &[] } else { &node.outputs[..] };
        for value in node.inputs.iter().flatten().chain(outputs) {
            graph.ty(*value).dims.iter().for_each(|dim| dim.symbols(&mut symbols));
        }
    }
    Stage { on_host, nodes, inputs, outputs, symbols }
}
