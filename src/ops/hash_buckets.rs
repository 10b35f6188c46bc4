//! Buckets by hash, on the host.

use std::borrow::Cow;

use crate::graph::{Cost, DType, OpError, Operator, Slots, TensorType};
use crate::text::Hash;

/// Gives every text of `x`, or the decimal text of every integer, a bucket by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashBuckets {
    /// How many buckets there are.
    pub buckets: u64,
    /// The function.
    pub hash: Hash,
}

impl Operator for HashBuckets {
    fn name(&self) -> &'static str {
        "hash_buckets"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("buckets", self.buckets.to_string()), ("hash", format!("{:?}", self.hash))]
    }

    fn input_name(&self, _: usize) -> Cow<'static, str> {
        Cow::Borrowed("x")
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(1)?;
        let x = inputs.typed(0, &[DType::Str, DType::I32, DType::I64], "text or an integer")?;
        Ok(vec![TensorType::new(DType::I64, x.dims.clone())])
    }

    fn cost(&self, _: &[Option<&TensorType>], _: &[TensorType]) -> Cost {
        Cost::default()
    }

    fn on_host(&self) -> bool {
        true
    }
}
