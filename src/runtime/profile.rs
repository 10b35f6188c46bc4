//! Where the time of a run goes.

use std::time::Duration;

use crate::graph::{Graph, TensorType};
use crate::plan::{Operand, Step};

/// The time that one node took in one run.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ProfileEntry {
    /// The node's name.
    pub node: String,
    /// The operator's name.
    pub op: &'static str,
    /// From the start of the run, in microseconds.
    pub start_us: f64,
    /// How long it took, in microseconds.
    pub duration_us: f64,
    /// Floating point operations, a fused multiply-add counting as two.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

impl ProfileEntry {
    /// The entry of a planned node, with what its shapes say that it takes.
    pub(super) fn of(graph: &Graph, step: &Step, start_us: f64, duration_us: f64) -> ProfileEntry {
        let node = graph.node(step.node);
        let ty = |operand: &Option<Operand>| operand.as_ref().map(|operand| operand.ty.clone());
        let inputs: Vec<Option<TensorType>> = step.inputs.iter().map(ty).collect();
        let refs: Vec<Option<&TensorType>> = inputs.iter().map(Option::as_ref).collect();
        let outputs = node.outputs.iter().zip(&step.outputs);
        let outputs: Vec<TensorType> =
            outputs.map(|(id, used)| ty(used).unwrap_or_else(|| graph.ty(*id).clone())).collect();
        let cost = node.op.cost(&refs, &outputs);
        ProfileEntry {
            node: node.name.clone(),
            op: node.op.name(),
            start_us,
            duration_us,
            flops: cost.flops,
            bytes: cost.bytes,
        }
    }
}

/// The nodes of one run, in order.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Profile {
    /// The nodes.
    pub nodes: Vec<ProfileEntry>,
    /// The whole run in microseconds, reading inputs and writing outputs included.
    pub total_us: f64,
}

/// A duration in microseconds.
pub(super) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
