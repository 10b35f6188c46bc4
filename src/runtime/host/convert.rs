//! Text to numbers and back, and whether two texts are equal.

use seqfuse_kernels::elementwise::broadcast_shape;
use seqfuse_kernels::layout::MAX_RANK;

use super::{HostCall, HostOp, input, refuse};
use crate::graph::{Data, Tensor};
use crate::ops::{Binary, BinaryKind, Cast};
use crate::runtime::RunError;

/// `Cast` from or to text.
pub(super) struct Convert;

impl HostOp for Convert {
    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError> {
        let HostCall { node, inputs, .. } = *call;
        let Some(op) = node.op.downcast_ref::<Cast>() else {
            return Err(refuse(node, "it is another operator than its type says"));
        };
        let x = input(node, inputs, 0)?;
        let y = x.cast(op.to).map_err(|error| refuse(node, error.to_string()))?;
        Ok(vec![y])
    }
}

/// `Binary` of texts: whether they are equal.
pub(super) struct Compare;

impl HostOp for Compare {
    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError> {
        let HostCall { node, inputs, .. } = *call;
        let kind = node.op.downcast_ref::<Binary>().map(|op| op.kind);
        let (a, b) = (input(node, inputs, 0)?, input(node, inputs, 1)?);
        let (Some(texts), Some(others)) = (a.as_str(), b.as_str()) else {
            return Err(refuse(node, "it compares texts with texts"));
        };
        let wanted = match kind {
            Some(BinaryKind::Equal) => true,
            Some(BinaryKind::NotEqual) => false,
            _ => return Err(refuse(node, "texts are equal or not, and nothing else")),
        };
        let mut sizes = [0; MAX_RANK];
        let Some(rank) = broadcast_shape(&[a.shape(), b.shape()], &mut sizes) else {
            let reason = format!("{:?} does not broadcast with {:?}", a.shape(), b.shape());
            return Err(refuse(node, reason));
        };
        let shape = &sizes[..rank];
        let count: usize = shape.iter().product();
        let equal = |index: usize| {
            let (i, j) = (source(index, shape, a.shape()), source(index, shape, b.shape()));
            (texts[i] == others[j]) == wanted
        };
        let result: Vec<bool> = (0..count).map(equal).collect();
        Ok(vec![Tensor::from_parts(shape.to_vec(), Data::Bool(result))])
    }
}

/// Where element `index` of `shape` stands in a tensor of shape `from` that broadcasts to it.
fn source(mut index: usize, shape: &[usize], from: &[usize]) -> usize {
    let (mut at, mut stride) = (0, 1);
    for (axis, &size) in shape.iter().enumerate().rev() {
        let own = (axis + from.len()).checked_sub(shape.len()).map_or(1, |axis| from[axis]);
        if own != 1 {
            at += index % size * stride;
        }
        stride *= own;
        index /= size;
    }
    at
}
