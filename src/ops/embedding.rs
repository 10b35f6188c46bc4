//! Rows of a table by token id.

use std::borrow::Cow;

use crate::graph::{Cost, DType, OpError, Operator, Slots, TensorType, elements};

/// Looks up rows: `ids` `[..]` of integers and `table` `[vocabulary, features]` give
/// `[.., features]`. An id outside the table stops the run with an error, a negative one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding;

impl Operator for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(if index == 0 { "ids" } else { "table" })
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(2)?;
        let ids = inputs.typed(0, &[DType::I32, DType::I64], "an integer type")?;
        let table = inputs.ranked(1, 2)?;
        let mut dims = ids.dims.clone();
        dims.push(table.dims[1].clone());
        Ok(vec![TensorType::new(DType::F32, dims)])
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let ids = inputs.first().copied().flatten().map_or(0, elements);
        Cost { flops: 0, bytes: 4 * ids + 8 * outputs.iter().map(elements).sum::<u64>() }
    }
}
