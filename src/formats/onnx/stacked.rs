//! Lists that a `Loop` fills, one tensor a round, and that are joined afterwards, as PyTorch's exporter
//! writes `outputs.append(h)` and `torch.stack(outputs)`: the rounds give those tensors stacked instead.
//!
//! Lists as such are not supported: one that is filled or taken in another way is refused by its operator.

use std::collections::HashMap;

use super::limits;
use super::proto::{AttributeKind, AttributeProto, GraphProto, NodeProto, ValueInfo};

/// Marks a `ConcatFromSequence` whose input is not a list, but its tensors stacked along a first axis.
pub const STACKED: &str = "seqfuse_stacked";

/// The inputs of a `Loop` before those that it carries.
const BEFORE_INPUTS: usize = 2;
/// The outputs of its body before those.
const BEFORE_OUTPUTS: usize = 1;

/// Takes such lists out of a graph.
pub fn take_out(graph: &mut GraphProto) {
    while let Some(list) = find(graph) {
        list.replace(graph);
    }
}

/// A list: positions of the nodes that make it.
struct List {
    empty: usize,
    repeat: usize,
    /// Which of the carried values it is.
    carried: usize,
    concat: usize,
    /// In the body: the node that adds to it.
    insert: usize,
}

fn find(graph: &GraphProto) -> Option<List> {
    let uses = uses(graph, 0);
    let once = |name: &str| uses.get(name) == Some(&1);
    let node_of = |name: &str| {
        graph.node.iter().position(|node| node.output.iter().any(|output| output == name))
    };
    let is =
        |node: &NodeProto, op: &str| node.op_type == op && matches!(&*node.domain, "" | "ai.onnx");
    graph.node.iter().enumerate().filter(|(_, node)| is(node, "Loop")).find_map(|(repeat, node)| {
        let body = body(node)?;
        let lists = node.input.iter().skip(BEFORE_INPUTS).enumerate();
        lists.filter(|(_, name)| once(name)).find_map(|(carried, name)| {
            let empty = node_of(name).filter(|&at| is(&graph.node[at], "SequenceEmpty"))?;
            let insert =
                insertion(body, carried).filter(|&at| is(&body.node[at], "SequenceInsert"))?;
            let result = node.output.get(carried).filter(|name| once(name))?;
            let concat = graph.node.iter().position(|node| {
                is(node, "ConcatFromSequence") && node.input.iter().eq([result])
            })?;
            Some(List { empty, repeat, carried, concat, insert })
        })
    })
}

/// The node of the body that adds to the end of a carried list, which nothing else takes.
fn insertion(body: &GraphProto, carried: usize) -> Option<usize> {
    let uses = uses(body, 0);
    let before = &body.input.get(BEFORE_INPUTS + carried)?.name;
    let after = &body.output.get(BEFORE_OUTPUTS + carried)?.name;
    let at = body.node.iter().position(|node| node.output.iter().eq([after]))?;
    let inputs = &body.node[at].input;
    let is_last = inputs.get(2).is_none_or(String::is_empty);
    let is_alone = uses.get(before.as_str()) == Some(&1) && uses.get(after.as_str()) == Some(&1);
    (inputs.first() == Some(before) && inputs.len() >= 2 && is_last && is_alone).then_some(at)
}

fn body(node: &NodeProto) -> Option<&GraphProto> {
    node.attribute.iter().find(|attribute| attribute.name == "body")?.g.as_deref()
}

/// How often each name is taken, in inner graphs too.
fn uses(graph: &GraphProto, depth: usize) -> HashMap<&str, usize> {
    let mut found: HashMap<&str, usize> = HashMap::new();
    for output in &graph.output {
        *found.entry(&output.name).or_default() += 1;
    }
    for node in &graph.node {
        for input in &node.input {
            *found.entry(input).or_default() += 1;
        }
        for inner in node.attribute.iter().filter_map(|attribute| attribute.g.as_deref()) {
            if depth < limits::DEPTH {
                for (name, count) in uses(inner, depth + 1) {
                    *found.entry(name).or_default() += count;
                }
            }
        }
    }
    found
}

impl List {
    fn replace(&self, graph: &mut GraphProto) {
        let mark = AttributeProto {
            name: STACKED.to_owned(),
            r#type: AttributeKind::Int.into(),
            i: 1,
            ..AttributeProto::default()
        };
        graph.node[self.concat].attribute.push(mark);
        let node = &mut graph.node[self.repeat];
        node.input.remove(BEFORE_INPUTS + self.carried);
        let result = node.output.remove(self.carried);
        node.output.push(result);
        let body = node.attribute.iter_mut().find(|attribute| attribute.name == "body");
        if let Some(body) = body.and_then(|attribute| attribute.g.as_deref_mut()) {
            body.input.remove(BEFORE_INPUTS + self.carried);
            let list = body.output.remove(BEFORE_OUTPUTS + self.carried);
            // What was added to the list is what a round gives.
            let insert = &mut body.node[self.insert];
            insert.op_type = "Identity".to_owned();
            insert.input = insert.input.split_off(1);
            insert.input.truncate(1);
            body.output.push(ValueInfo { name: list.name, r#type: None });
        }
        graph.node.remove(self.empty);
    }
}
