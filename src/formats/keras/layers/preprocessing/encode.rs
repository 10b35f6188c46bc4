//! What becomes of indices: `keras.src.utils.numerical_utils.encode_categorical_inputs`.

use serde_json::Value;

use crate::formats::FormatError;
use crate::formats::keras::config::Options;
use crate::formats::keras::layers::Call;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{BinaryKind, Bincount, OneHot, ReduceKind};

/// The option `output_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMode {
    /// The indices themselves.
    Int,
    /// A row with a single one for each index.
    OneHot,
    /// For each sample a one at every index that occurs.
    MultiHot,
    /// For each sample how often every index occurs.
    Count,
    /// The same, weighted by inverse document frequencies.
    TfIdf,
}

impl OutputMode {
    /// Reads `output_mode`, and refuses sparse output.
    ///
    /// # Errors
    /// If it is none of `allowed`, which are Keras's names.
    pub fn parse(
        options: &Options<'_>,
        default: &str,
        allowed: &[&str],
    ) -> Result<OutputMode, FormatError> {
        let hint = "save the layer with sparse=False, the values are equal";
        options.only("sparse", &Value::Bool(false), hint)?;
        Ok(match options.choice("output_mode", default, allowed)? {
            "one_hot" => OutputMode::OneHot,
            "multi_hot" | "binary" => OutputMode::MultiHot,
            "count" => OutputMode::Count,
            "tf_idf" | "tf-idf" => OutputMode::TfIdf,
            _ => OutputMode::Int,
        })
    }
}

/// Encodes `indices` `[batch, …]` over `depth` classes, in the type `to`. `weights`, in the shape
/// of the indices, are summed in place of ones.
///
/// A sample is a row of a matrix; a vector is one sample as a whole, and of higher ranks Keras
/// takes the axis behind the batch.
///
/// # Errors
/// If the weights have another shape.
pub fn encode(
    call: &mut Call<'_>,
    indices: ValueId,
    mode: OutputMode,
    depth: usize,
    weights: Option<ValueId>,
    to: DType,
) -> Result<ValueId, FormatError> {
    let dims = call.ty(indices).dims.clone();
    let value = match mode {
        OutputMode::Int => indices,
        OutputMode::OneHot => {
            let indices = without_last_one(call, indices)?;
            let axis = call.ty(indices).rank();
            return call.add(OneHot { depth, axis, dtype: to }, &[indices]);
        }
        _ if dims.len() > 2 => {
            let mut rows =
                call.add(OneHot { depth, axis: dims.len(), dtype: DType::F32 }, &[indices])?;
            if let Some(weights) = weights {
                let dims = dims.into_iter().chain([Dim::Known(1)]).collect::<Vec<_>>();
                let weights = call.reshape(weights, dims)?;
                rows = call.binary(BinaryKind::Multiply, rows, weights)?;
            }
            let binary = mode == OutputMode::MultiHot;
            let kind = if binary { ReduceKind::Max } else { ReduceKind::Sum };
            call.reduce_axis(kind, rows, 1, false)?
        }
        _ => {
            let binary = mode == OutputMode::MultiHot;
            let rows = match &dims[..] {
                [count] => vec![Dim::Known(1), count.clone()],
                _ => dims.clone(),
            };
            let indices = call.reshape(indices, rows.clone())?;
            let mut inputs = vec![indices];
            if let Some(weights) = weights {
                inputs.push(call.reshape(weights, rows)?);
            }
            let counts = call.add(Bincount { depth, binary }, &inputs)?;
            match dims.len() {
                1 => call.reshape(counts, vec![Dim::Known(depth)])?,
                _ => counts,
            }
        }
    };
    call.cast(value, to)
}

/// The value without a last axis of size 1, where it has another one.
pub fn without_last_one(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, FormatError> {
    match call.ty(x).dims.clone().as_slice() {
        [rest @ .., Dim::Known(1)] if !rest.is_empty() => call.reshape(x, rest),
        _ => Ok(x),
    }
}
