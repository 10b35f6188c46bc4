//! What runs on the host: operators on text, and those that run Graphs of their own.
//!
//! One file a kind; [`make`] knows which operator is which.

mod branch;
mod convert;
mod late;
mod repeat;
mod scan;
mod stack;
mod text;
mod text_moves;

use super::stage::Backend;
use super::{Options, Placement, RunError, Session};
use crate::graph::{Bindings, Graph, Node, Tensor};
use crate::ops::{Binary, Cast, HashBuckets, If, Late, Lookup, Loop, Scan, TextVectorization};

/// A node of a host stage, ready to run.
pub(super) trait HostOp: Send + Sync {
    /// Runs the node and returns its outputs.
    ///
    /// # Errors
    /// If the data do not suit the operator.
    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError>;

    /// What runs the nodes of the Graphs that it runs as a part of itself.
    fn placements(&self) -> Vec<Placement> {
        Vec::new()
    }
}

/// One run of a host node.
#[derive(Clone, Copy)]
pub(super) struct HostCall<'a> {
    /// The node.
    pub(super) node: &'a Node,
    /// Its inputs; `None` where a slot is empty.
    pub(super) inputs: &'a [Option<&'a Tensor>],
    /// The sizes of this run that are known so far.
    pub(super) bindings: &'a Bindings,
}

/// What Sessions inside of a Session share with it: device, threads and options.
#[derive(Clone, Debug)]
pub(super) struct Nested {
    backend: Backend,
    options: Options,
}

impl Nested {
    /// What the Session on `backend` shares.
    pub(super) fn new(backend: &Backend, options: &Options) -> Nested {
        Nested { backend: backend.nested(), options: options.nested() }
    }

    /// A Session for a Graph that node `node` runs as a part of itself.
    ///
    /// # Errors
    /// If the device lacks an operator.
    fn session(&self, node: &Node, graph: &Graph) -> Result<Session, RunError> {
        let backend = self.backend.nested();
        Session::on(graph, backend, &self.options).map_err(|error| within(node, error))
    }
}

/// The runner of a host node.
///
/// # Errors
/// If the operator has no host form, or the device lacks an operator of its bodies.
pub(super) fn make(
    graph: &Graph,
    node: &Node,
    nested: &Nested,
) -> Result<Box<dyn HostOp>, RunError> {
    let op = &*node.op;
    Ok(if let Some(op) = op.downcast_ref::<If>() {
        Box::new(branch::Branches::new(op, node, nested)?)
    } else if let Some(op) = op.downcast_ref::<Loop>() {
        Box::new(repeat::Repeat::new(op, node, nested)?)
    } else if let Some(op) = op.downcast_ref::<Scan>() {
        Box::new(scan::Steps::new(op, node, nested)?)
    } else if op.downcast_ref::<Late>().is_some() {
        Box::new(late::Built::new(nested))
    } else if op.downcast_ref::<TextVectorization>().is_some()
        || op.downcast_ref::<Lookup>().is_some()
        || op.downcast_ref::<HashBuckets>().is_some()
    {
        Box::new(text::TextLayer)
    } else if op.downcast_ref::<Cast>().is_some() {
        Box::new(convert::Convert)
    } else if op.downcast_ref::<Binary>().is_some() {
        Box::new(convert::Compare)
    } else if text_moves::is_move(op) {
        Box::new(text_moves::TextMove::new(graph, node, nested)?)
    } else {
        return Err(refuse(node, "it has no form for text"));
    })
}

fn refuse(node: &Node, reason: impl Into<String>) -> RunError {
    RunError::Unsupported {
        node: node.name.clone(),
        op: node.op.name(),
        device: "the host",
        reason: reason.into(),
    }
}

/// An error inside of a Graph that `node` runs as a part of itself.
fn within(node: &Node, source: RunError) -> RunError {
    RunError::Within { node: node.name.clone(), op: node.op.name(), source: Box::new(source) }
}

/// The tensor in slot `index`.
///
/// # Errors
/// If the slot is empty.
fn input<'a>(
    node: &Node,
    inputs: &[Option<&'a Tensor>],
    index: usize,
) -> Result<&'a Tensor, RunError> {
    let found = inputs.get(index).copied().flatten();
    found.ok_or_else(|| refuse(node, format!("input `{}` is missing", node.op.input_name(index))))
}

/// The one truth value in a tensor.
///
/// # Errors
/// If it holds something else.
fn flag(node: &Node, what: &str, tensor: &Tensor) -> Result<bool, RunError> {
    match tensor.data() {
        crate::graph::Data::Bool(values) if values.len() == 1 => Ok(values[0]),
        _ => Err(refuse(
            node,
            format!(
                "{what} is {} of shape {:?}, expected one truth value",
                tensor.dtype(),
                tensor.shape()
            ),
        )),
    }
}
