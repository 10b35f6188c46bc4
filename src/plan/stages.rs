//! Cuts a Graph into stages.

use std::collections::HashMap;

use crate::graph::{Dim, Graph, NodeId, Source, Symbol, ValueId, VariableId};

/// What runs a node. The order is that of the stages of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StagePlace {
    /// The processor's kernels, for nodes that wait for nothing that the device computes, such as
    /// arithmetic of sizes.
    Early,
    /// The Session's device.
    Device,
    /// The processor's kernels, where the Session's device is another and lacks one.
    Cpu,
    /// The host: work on text, and nodes that run Graphs of their own.
    Host,
}

/// Nodes that can be planned together: all of their sizes are known when the stage begins.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What runs it.
    pub place: StagePlace,
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
    /// Cuts `graph` into stages for a device that has a kernel for every node.
    ///
    /// Work on the host (on text, and what runs Graphs of its own) is a stage of its own, and what
    /// follows it begins a new one, because its sizes may depend on data.
    pub fn new(graph: Graph) -> Program {
        Program::placed(graph, |_, _| true)
    }

    /// Cuts `graph` into stages for a device that has kernels for the nodes for which `on_device`
    /// holds; the processor runs others, in stages between those of the device. Views are not asked
    /// about: they stay with the value that they show.
    pub fn placed(graph: Graph, on_device: impl Fn(&Graph, NodeId) -> bool) -> Program {
        let places = places(&graph, on_device);
        let levels = levels(&graph, &places);
        let mut stages: Vec<(StagePlace, Vec<NodeId>)> = Vec::new();
        use StagePlace::{Cpu, Device, Early, Host};
        for level in 0..=levels.iter().map(|(level, _)| *level).max().unwrap_or(0) {
            for place in [Early, Device, Cpu, Host] {
                let nodes: Vec<NodeId> = (0..graph.nodes().len())
                    .filter(|&index| levels[index] == (level, place))
                    .map(NodeId)
                    .collect();
                if !nodes.is_empty() {
                    stages.push((place, nodes));
                }
            }
        }
        let order: Vec<NodeId> = stages.iter().flat_map(|(_, nodes)| nodes.clone()).collect();
        let in_place = in_place(&graph, &order);
        let stages: Vec<Stage> = stages
            .into_iter()
            .map(|(place, nodes)| nodes_to_stage(&graph, place, nodes, &in_place))
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

impl Stage {
    /// Whether it runs on the host.
    pub fn on_host(&self) -> bool {
        self.place == StagePlace::Host
    }
}

/// What runs each node. A view stays with the node whose value it shows; one of a value from outside
/// goes where its first reader is, so that nothing is moved for it.
fn places(graph: &Graph, on_device: impl Fn(&Graph, NodeId) -> bool) -> Vec<StagePlace> {
    let nodes = graph.nodes();
    let mut places: Vec<StagePlace> = Vec::with_capacity(nodes.len());
    let mut readers: HashMap<ValueId, usize> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        node.inputs.iter().flatten().for_each(|id| {
            readers.entry(*id).or_insert(index);
        });
        places.push(if graph.on_host(node) {
            StagePlace::Host
        } else if node.op.is_view() || on_device(graph, NodeId(index)) {
            StagePlace::Device
        } else {
            StagePlace::Cpu
        });
    }
    let is_view = |index: usize| nodes[index].op.is_view() && !graph.on_host(&nodes[index]);
    let producer = |index: usize| match nodes[index].inputs.first().copied().flatten() {
        Some(id) => match graph.value(id).source {
            Source::Node { node, .. } => Some(node.index()),
            _ => None,
        },
        None => None,
    };
    // From the back, so that a chain of views learns of its reader.
    for index in (0..nodes.len()).rev().filter(|&index| is_view(index)) {
        let reader = nodes[index].outputs.first().and_then(|id| readers.get(id));
        if reader.is_some_and(|&reader| places[reader] == StagePlace::Cpu) {
            places[index] = StagePlace::Cpu;
        }
    }
    for index in (0..nodes.len()).filter(|&index| is_view(index)) {
        if let Some(from) = producer(index).filter(|&from| places[from] != StagePlace::Host) {
            places[index] = places[from];
        }
    }
    places
}

/// The level of each node: what it needs is there when the stages of the levels before have run, and
/// those of its own level that stand before its own. With it stands what runs the node: what the
/// processor runs goes in front of the device's stage of the level where it can.
fn levels(graph: &Graph, places: &[StagePlace]) -> Vec<(usize, StagePlace)> {
    let mut levels: Vec<(usize, StagePlace)> = Vec::with_capacity(graph.nodes().len());
    // From which level on the sizes are there that no input but a host stage tells.
    let given = graph.input_symbols();
    let mut measured: HashMap<Symbol, usize> = HashMap::new();
    for (node, &place) in graph.nodes().iter().zip(places) {
        let from = |place: StagePlace| {
            let inputs = node.inputs.iter().flatten().map(|id| match graph.value(*id).source {
                Source::Node { node, .. } => {
                    let (level, from) = levels[node.index()];
                    // A host stage's results are there one level later.
                    level + usize::from(from == StagePlace::Host || from > place)
                }
                _ => 0,
            });
            inputs.max().unwrap_or(0)
        };
        let mut level = from(place);
        let mut place = place;
        if place == StagePlace::Cpu && from(StagePlace::Early) == level {
            place = StagePlace::Early;
        }
        let on_host = place == StagePlace::Host;
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
        levels.push((level, place));
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
    place: StagePlace,
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
        let on_host = place == StagePlace::Host;
        let outputs = if on_host { &[] } else { &node.outputs[..] };
        for value in node.inputs.iter().flatten().chain(outputs) {
            graph.ty(*value).dims.iter().for_each(|dim| dim.symbols(&mut symbols));
        }
    }
    Stage { place, nodes, inputs, outputs, symbols }
}
