//! Nodes that need the value of an input that only a run computes.

use super::call::{Call, Outputs};
use super::error::NodeProblem;
use crate::graph::TensorType;

/// Puts a node off until a run knows the values of the inputs `needed`.
///
/// # Errors
/// If that is not possible.
pub(super) fn put_off(call: &mut Call<'_>, needed: &[usize], _outputs: Vec<TensorType>) -> Outputs {
    let index = needed.first().copied().unwrap_or_default();
    let hint = "make it a constant, or computed from sizes alone, and export the model again";
    let _ = call;
    Err(NodeProblem::NotKnown { index, input: "value", hint: hint.to_owned() }.into())
}
