//! Fully connected and convolutional layers: the activation comes off where its derivative needs
//! what a fused one does not keep.

use std::sync::Arc;

use crate::graph::{Graph, GraphError, Operator, ValueId};
use crate::ops::{Activate, Activation, Conv, Dense};

pub(super) fn dense(
    graph: &mut Graph,
    name: &str,
    dense: &Dense,
    inputs: &[Option<ValueId>],
) -> Result<Option<Vec<ValueId>>, GraphError> {
    let linear = Dense { activation: Activation::Linear, ..dense.clone() };
    split(graph, name, dense.activation, linear, inputs)
}

pub(super) fn conv(
    graph: &mut Graph,
    name: &str,
    conv: &Conv,
    inputs: &[Option<ValueId>],
) -> Result<Option<Vec<ValueId>>, GraphError> {
    let linear = Conv { activation: Activation::Linear, ..conv.clone() };
    split(graph, name, conv.activation, linear, inputs)
}

fn split(
    graph: &mut Graph,
    name: &str,
    activation: Activation,
    linear: impl Operator,
    inputs: &[Option<ValueId>],
) -> Result<Option<Vec<ValueId>>, GraphError> {
    if !activation.needs_input() {
        return Ok(None);
    }
    let sums = graph.add_node(name, Arc::new(linear), inputs.to_vec())?;
    graph.add(name, Activate { activation }, &sums).map(Some)
}
