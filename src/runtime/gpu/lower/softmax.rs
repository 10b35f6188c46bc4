//! Softmax over the last axis.

use super::lowering::{GpuOp, Lowering};
use crate::graph::{Graph, Node};
use crate::ops::Softmax;
use crate::runtime::RunError;

impl GpuOp for Softmax {
    fn check(&self, node: &Node, graph: &Graph) -> Result<(), String> {
        let rank = node.outputs.first().map_or(0, |id| graph.ty(*id).rank());
        match (self.log, self.axis + 1 == rank) {
            (true, _) => Err("the logarithm of softmax has no GPU kernel".to_owned()),
            (_, false) => Err("softmax over another axis than the last has no kernel".to_owned()),
            (false, true) => Ok(()),
        }
    }

    fn lower(&self, lowering: &mut Lowering<'_>) -> Result<(), RunError> {
        let (x, input) = (lowering.input(0)?, lowering.arena(0)?);
        let width = x.shape.last().copied().unwrap_or(1);
        let rows = lowering.size(x.len.checked_div(width).unwrap_or(0))?;
        let (label, output) = (lowering.label(), lowering.result()?.0);
        let width = lowering.size(width)?;
        Ok(lowering.recorder.softmax(label, rows, width, input, output)?)
    }
}
