//! Work whose form depends on values that only a run has.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::graph::{Graph, OpError, Operator, Slots, Tensor, TensorType};

/// Makes the Graph of a [`Late`] node once its inputs are there.
pub trait LateBuild: fmt::Debug + Send + Sync {
    /// The name of the operation, such as `Reshape`, for printing and errors.
    fn name(&self) -> &str;

    /// The slots of the inputs whose values, not only types and shapes, decide the Graph.
    fn needs(&self) -> Vec<usize>;

    /// The Graph for inputs of these types and shapes and, in the slots that
    /// [`needs`](Self::needs) names, these values; other values must not matter, since the Graph
    /// serves again where they differ. Empty slots are `None`.
    ///
    /// Its inputs are named by slot ([`Late::input_name`]); those that it does not use may be
    /// absent. Its outputs are the node's, in order.
    ///
    /// # Errors
    /// If the operation cannot be done on such inputs.
    fn build(&self, inputs: &[Option<&Tensor>]) -> Result<Graph, Box<dyn Error + Send + Sync>>;
}

/// Runs a Graph that is built from the inputs of the run: a reshape to sizes that were computed,
/// the `k` best of a `k` that is an input. It begins a stage of its own, and what it gave is
/// measured: dimensions of its outputs that are symbols are bound by it.
#[derive(Clone, Debug)]
pub struct Late {
    /// What makes the Graph.
    pub build: Arc<dyn LateBuild>,
    /// The types of the outputs: sizes that depend on values are symbols that nothing else binds
    /// ([`Graph::fresh_symbol`]).
    pub outputs: Vec<TensorType>,
}

impl Late {
    /// The name of the built Graph's input for slot `slot`.
    pub fn input_name(slot: usize) -> String {
        format!("input_{slot}")
    }
}

impl Operator for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("operation", self.build.name().to_owned()),
            ("needs", format!("{:?}", self.build.needs())),
        ]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Owned(Late::input_name(index))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        for slot in self.build.needs() {
            if slot >= inputs.len() {
                inputs.get(slot)?;
            }
        }
        Ok(self.outputs.clone())
    }

    fn on_host(&self) -> bool {
        true
    }
}
