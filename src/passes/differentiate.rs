//! Appends the nodes that compute gradients: reverse-mode differentiation by the operators' rules.

use std::collections::HashMap;

use crate::graph::{
    Adjoint, DType, Graph, GraphError, NodeId, OpError, Source, Tensor, TensorType, ValueId,
};
use crate::ops::{Binary, BinaryKind};

/// Appends nodes to `graph` that compute the gradients of the scalar `loss` with respect to
/// `wanted`, and returns those; `None` where the loss does not depend on a value.
///
/// # Errors
/// If `loss` is not a scalar of `f32`, or a node between has no derivative rule.
pub fn differentiate(
    graph: &mut Graph,
    loss: ValueId,
    wanted: &[ValueId],
) -> Result<Vec<Option<ValueId>>, GraphError> {
    if *graph.ty(loss) != TensorType::known(DType::F32, &[]) {
        let found = graph.ty(loss);
        return Err(GraphError::Invalid(format!("a loss is an f32 scalar, not {found}")));
    }
    let depends = dependents(graph, wanted);
    let one = graph.constant(Tensor::scalar(1.0f32));
    let mut gradients: HashMap<ValueId, ValueId> = HashMap::from([(loss, one)]);
    for index in (0..depends.nodes.len()).rev().filter(|&index| depends.nodes[index]) {
        let node = graph.node(NodeId(index)).clone();
        let outputs: Vec<Option<ValueId>> =
            node.outputs.iter().map(|id| gradients.get(id).copied()).collect();
        if outputs.iter().all(Option::is_none) {
            continue;
        }
        let needs = |id: ValueId| graph.ty(id).dtype == DType::F32 && depends.on(graph, id);
        let needed = node.inputs.iter().map(|input| input.is_some_and(needs)).collect();
        let given = Adjoint::new(graph, node.clone(), outputs, needed).run()?;
        for (input, gradient) in node.inputs.iter().zip(given) {
            if let (Some(input), Some(gradient)) = (*input, gradient)
                && depends.on(graph, input)
            {
                accumulate(graph, &mut gradients, &node, input, gradient)?;
            }
        }
    }
    Ok(wanted.iter().map(|id| gradients.get(id).copied()).collect())
}

/// Which nodes depend on the values that gradients are wanted of.
struct Dependents {
    nodes: Vec<bool>,
    sources: Vec<ValueId>,
}

impl Dependents {
    fn on(&self, graph: &Graph, id: ValueId) -> bool {
        match graph.value(id).source {
            Source::Node { node, .. } if self.nodes.get(node.index()) == Some(&true) => true,
            _ => self.sources.contains(&id),
        }
    }
}

fn dependents(graph: &Graph, wanted: &[ValueId]) -> Dependents {
    let mut found = Dependents { nodes: Vec::new(), sources: wanted.to_vec() };
    for node in graph.nodes() {
        let depends = node.inputs.iter().flatten().any(|id| found.on(graph, *id));
        found.nodes.push(depends);
    }
    found
}

/// Adds a gradient to what other takers of the value gave.
fn accumulate(
    graph: &mut Graph,
    gradients: &mut HashMap<ValueId, ValueId>,
    node: &crate::graph::Node,
    input: ValueId,
    gradient: ValueId,
) -> Result<(), GraphError> {
    let (expected, found) = (graph.ty(input), graph.ty(gradient));
    if !expected.accepts(found) {
        let reason = format!("its rule gave a gradient {found} for a value {expected}");
        return Err(GraphError::Node {
            node: node.name.clone(),
            op: node.op.name(),
            source: OpError::Derivative { reason },
        });
    }
    let sum = match gradients.get(&input) {
        None => gradient,
        Some(&earlier) => {
            let name = format!("{}/gradient_sum", node.name);
            graph.add_one(&name, Binary { kind: BinaryKind::Add }, &[earlier, gradient])?
        }
    };
    gradients.insert(input, sum);
    Ok(())
}
