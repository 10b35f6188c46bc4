//! Rows of a table by token id.

use std::borrow::Cow;

use crate::graph::{
    Adjoint, Cost, DType, GraphError, OpError, Operator, Products, Slots, TensorType, elements,
};

/// Looks up rows: `ids` `[..]` of integers and `table` `[vocabulary, features]` give
/// `[.., features]`. An id outside the table stops the run with an error, a negative one too.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        if let Some(dy) = adjoint.gradient(0) {
            let (ids, table) = (adjoint.input(0)?, adjoint.input(1)?);
            let gradient = adjoint.add(EmbeddingGradient, &[ids, table, dy])?;
            adjoint.give(1, gradient);
        }
        Ok(())
    }

    fn products(&self, inputs: &[Option<&TensorType>], outputs: &[Option<TensorType>]) -> Products {
        let rows: u64 = outputs.iter().flatten().map(elements).sum();
        let table = inputs.get(1).map(|_| (1, 4 * rows));
        Products { flops: 0, reads: table.into_iter().collect() }
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let ids = inputs.first().copied().flatten().map_or(0, elements);
        Cost { flops: 0, bytes: 4 * ids + 8 * outputs.iter().map(elements).sum::<u64>() }
    }
}

/// The gradient of an [`Embedding`]'s table: the rows of `dy` `[.., features]` added up by `ids`
/// `[..]`; rows that no id names are zero. Of `table` only the shape matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingGradient;

impl Operator for EmbeddingGradient {
    fn name(&self) -> &'static str {
        "embedding_gradient"
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["ids", "table", "dy"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let ids = inputs.typed(0, &[DType::I32, DType::I64], "an integer type")?;
        let table = inputs.ranked(1, 2)?;
        let mut dims = ids.dims.clone();
        dims.push(table.dims[1].clone());
        inputs.float(2)?;
        inputs.check(2, &TensorType::new(DType::F32, dims))?;
        Ok(vec![table.clone()])
    }
}
