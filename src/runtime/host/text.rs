//! The layers that work on text and on tables of tokens.

use super::{HostCall, HostOp, input, refuse};
use crate::graph::{Data, Node, Tensor};
use crate::ops::{HashBuckets, Lookup, TextVectorization};
use crate::runtime::RunError;

/// A layer of text, which the node's operator holds.
pub(super) struct TextLayer;

impl HostOp for TextLayer {
    fn run(&mut self, call: &HostCall<'_>) -> Result<Vec<Tensor>, RunError> {
        let HostCall { node, inputs, .. } = *call;
        let x = input(node, inputs, 0)?;
        let result = if let Some(op) = node.op.downcast_ref::<TextVectorization>() {
            vectorize(node, op, x)
        } else if let Some(op) = node.op.downcast_ref::<Lookup>() {
            let missing = || RunError::NoVocabulary { node: node.name.clone() };
            let found = op.table.as_ref().ok_or_else(missing)?.lookup(x);
            found.map_err(|error| refuse(node, error.to_string()))
        } else if let Some(op) = node.op.downcast_ref::<HashBuckets>() {
            hash(node, op, x)
        } else {
            Err(refuse(node, "it has no host form"))
        };
        result.map(|y| vec![y])
    }
}

fn vectorize(node: &Node, op: &TextVectorization, texts: &Tensor) -> Result<Tensor, RunError> {
    let name = || node.name.clone();
    let vectorizer = op.vectorizer().ok_or_else(|| RunError::NoVocabulary { node: name() })?;
    vectorizer
        .vectorize(texts)
        .map_err(|source| RunError::Text { node: name(), source: Box::new(source) })
}

fn hash(node: &Node, op: &HashBuckets, x: &Tensor) -> Result<Tensor, RunError> {
    // A bucket is below the number of buckets, which is a layer's width.
    let bucket = |text: &str| op.hash.bucket(text, op.buckets) as i64;
    let buckets: Vec<i64> = match x.data() {
        Data::Str(texts) => texts.iter().map(|text| bucket(text)).collect(),
        Data::I32(numbers) => numbers.iter().map(|number| bucket(&number.to_string())).collect(),
        Data::I64(numbers) => numbers.iter().map(|number| bucket(&number.to_string())).collect(),
        _ => return Err(refuse(node, "it takes texts and integers alone")),
    };
    Ok(Tensor::from_parts(x.shape().to_vec(), buckets.into()))
}
