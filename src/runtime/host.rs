//! Host stages: operators that work on text.

use super::RunError;
use crate::graph::{Node, Tensor};
use crate::ops::TextVectorization;

/// Runs a host operator on its inputs and returns its outputs.
pub(super) fn run(node: &Node, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, RunError> {
    let name = || node.name.clone();
    let unsupported = |reason: &str| RunError::Unsupported {
        node: name(),
        op: node.op.name(),
        device: "the host",
        reason: reason.to_owned(),
    };
    let Some(op) = node.op.downcast_ref::<TextVectorization>() else {
        return Err(unsupported("it has no host form"));
    };
    let [Some(texts)] = inputs else {
        return Err(unsupported("its input is missing"));
    };
    let vectorizer = op.vectorizer().ok_or_else(|| RunError::NoVocabulary { node: name() })?;
    let ids = vectorizer
        .vectorize(texts)
        .map_err(|source| RunError::Text { node: name(), source: Box::new(source) })?;
    Ok(vec![ids])
}
