//! Operators on tensors (`x + y`, `keras.ops.*`), which Keras saves as layers: a file each for
//! elementwise operators, shapes, arrangement, reductions, running sums, products, choices and
//! indices.

mod along_axis;
mod arrange;
mod choose;
mod composed;
mod einsum;
mod elementwise;
mod index;
mod norms;
mod numbers;
mod operand;
mod product;
mod reduce;
mod shape;
#[cfg(test)]
mod tests;

use along_axis::AlongAxis;
use arrange::Arrangement;
use choose::Choice;
use composed::Composed;
pub(in crate::formats::keras::layers) use einsum::Einsum;
use elementwise::Elementwise;
use norms::Norms;
use numbers::Numbers;
use operand::{Level, Operand};
use reduce::Reduction;
pub(in crate::formats::keras::layers) use reduce::reduce;
use shape::Shaping;

use super::{Call, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::ValueId;

/// An operator with its options read.
#[derive(Debug)]
enum Operation {
    Elementwise(Elementwise),
    Shaping(Shaping),
    Reduction(Reduction),
    AlongAxis(AlongAxis),
    Arrangement(Arrangement),
    Choice(Choice),
    Composed(Composed),
    Norms(Norms),
    Numbers(Numbers),
    Einsum(Einsum),
    Matmul,
    GetItem,
}

impl Operation {
    fn parse(config: &LayerConfig) -> Result<Operation, FormatError> {
        let (class, options) = (config.class_name.as_str(), config.options());
        let operation = if let Some(operation) = Elementwise::parse(class, &options)? {
            Operation::Elementwise(operation)
        } else if let Some(operation) = Shaping::parse(class, &options)? {
            Operation::Shaping(operation)
        } else if let Some(operation) = Reduction::parse(class, &options)? {
            Operation::Reduction(operation)
        } else if let Some(operation) = AlongAxis::parse(class, &options)? {
            Operation::AlongAxis(operation)
        } else if let Some(operation) = Arrangement::parse(class, &options)? {
            Operation::Arrangement(operation)
        } else if let Some(operation) = Choice::parse(class, &options)? {
            Operation::Choice(operation)
        } else if let Some(operation) = Composed::parse(class, &options)? {
            Operation::Composed(operation)
        } else if let Some(operation) = Norms::parse(class, &options)? {
            Operation::Norms(operation)
        } else if let Some(operation) = Numbers::parse(class, &options)? {
            Operation::Numbers(operation)
        } else if class == "Einsum" {
            Operation::Einsum(Einsum::parse(&options)?)
        } else if class == "Matmul" {
            Operation::Matmul
        } else if class == "GetItem" {
            Operation::GetItem
        } else {
            return Err(config.unknown());
        };
        options.finish()?;
        Ok(operation)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<ValueId>, FormatError> {
        let value = match self {
            Operation::Arrangement(Arrangement::Split(split)) => return split.call(call),
            Operation::Composed(Composed::Unstack(axis)) => return composed::unstack(call, *axis),
            Operation::Norms(Norms::Moments { axes, keepdims }) => {
                return norms::moments(call, axes, *keepdims);
            }
            Operation::Elementwise(operation) => operation.call(call),
            Operation::Shaping(operation) => operation.call(call),
            Operation::Reduction(operation) => operation.call(call),
            Operation::AlongAxis(operation) => operation.call(call),
            Operation::Arrangement(operation) => operation.call(call),
            Operation::Choice(operation) => operation.call(call),
            Operation::Composed(operation) => operation.call(call),
            Operation::Norms(operation) => operation.call(call),
            Operation::Numbers(operation) => operation.call(call),
            Operation::Einsum(operation) => operation.call(call),
            Operation::Matmul => product::matmul(call),
            Operation::GetItem => index::get_item(call),
        };
        Ok(vec![value?])
    }
}

/// Adds one call of an operator. Its output carries no mask, unless it is its argument itself.
///
/// # Errors
/// If its class is not known, or an option or the inputs do not fit.
pub fn call(config: &LayerConfig, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
    let operation = Operation::parse(config)?;
    // A cast to the same type, the absolute value of truth values, and the exchange of an axis with
    // itself give back the very tensor that they are given in Keras, with the mask that it carries.
    let first = match (&operation, call.look(0, "x")) {
        (
            Operation::Elementwise(Elementwise::Cast(_) | Elementwise::Unary(_))
            | Operation::Shaping(Shaping::Swapaxes(..)),
            Some(super::Arg::Tensor(tensor)),
        ) => Some(*tensor),
        _ => None,
    };
    let values = operation.call(call)?.into_iter();
    Ok(values
        .map(|value| match first {
            Some(first) if first.value == value => first,
            _ => LoweredTensor::plain(value),
        })
        .collect())
}

/// The type that two operands are computed in: the least upper bound of theirs.
fn promote(a: Level, b: Level) -> Level {
    a.max(b)
}
