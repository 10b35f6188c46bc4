//! Layers that make one tensor of several, and what they share: types, ranks and masks.

mod arithmetic;
mod concatenate;
mod dot;
mod masked;

pub(super) use arithmetic::{parse_add, parse_average, parse_subtract};
pub(super) use concatenate::parse as parse_concatenate;
pub(super) use dot::parse as parse_dot;
pub(super) use masked::{parse_maximum, parse_minimum, parse_multiply};

use super::{Call, KERAS2, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::BinaryKind;

/// Reads the options of a layer that has none of its own: whether it merges masks as Keras 2 does.
fn merges_as_keras2(config: &LayerConfig) -> Result<bool, FormatError> {
    let options = config.options();
    let keras2 = options.bool_or(KERAS2, false)?;
    options.finish()?;
    Ok(keras2)
}

/// Takes the list of inputs.
///
/// # Errors
/// If it is empty or holds something else than tensors.
fn inputs_of(call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
    let inputs = call.tensors(0, "inputs")?;
    match inputs.is_empty() {
        true => Err(call.refuse("it merges nothing: its list of inputs is empty")),
        false => Ok(inputs),
    }
}

/// The type that Keras computes in for these: the wider integer, or floating point.
fn common_type(call: &Call<'_>, inputs: &[LoweredTensor]) -> DType {
    let mut types = inputs.iter().map(|input| call.ty(input.value).dtype);
    let first = types.next().unwrap_or(DType::F32);
    types.fold(first, |common, dtype| match (common, dtype) {
        (a, b) if a == b => a,
        (DType::F32, _) | (_, DType::F32) => DType::F32,
        (DType::I64, _) | (_, DType::I64) => DType::I64,
        _ => DType::I32,
    })
}

/// The inputs in one type and of one rank: axes of size 1 are put in behind the batch. An input
/// that gains axes loses its mask on the way, as the tensors that `expand_dims` gives have none.
fn aligned(
    call: &mut Call<'_>,
    inputs: &[LoweredTensor],
) -> Result<Vec<LoweredTensor>, FormatError> {
    let rank = inputs.iter().map(|input| call.ty(input.value).rank()).max().unwrap_or(0);
    let dtype = common_type(call, inputs);
    inputs
        .iter()
        .map(|input| {
            let x = call.cast(input.value, dtype)?;
            let dims = call.ty(x).dims.clone();
            let missing = rank - dims.len();
            if missing == 0 {
                return Ok(LoweredTensor { value: x, mask: input.mask });
            }
            let (batch, rest) = dims.split_at(1.min(dims.len()));
            let dims = [batch, &vec![Dim::Known(1); missing], rest].concat();
            Ok(LoweredTensor::plain(call.reshape(x, dims)?))
        })
        .collect()
}

/// Whether any input counts a step; no mask where an input has none. In Keras 2 whether all inputs
/// that have a mask count it.
fn merged_mask(
    call: &mut Call<'_>,
    inputs: &[LoweredTensor],
    keras2: bool,
) -> Result<Option<ValueId>, FormatError> {
    let masks: Option<Vec<ValueId>> = match keras2 {
        true => Some(inputs.iter().filter_map(|input| input.mask).collect()),
        false => inputs.iter().map(|input| input.mask).collect(),
    };
    let kind = if keras2 { BinaryKind::And } else { BinaryKind::Or };
    let Some((first, others)) = masks.as_deref().and_then(<[_]>::split_first) else {
        return Ok(None);
    };
    let mut merged = *first;
    for mask in others.iter().filter(|mask| *mask != first) {
        merged = call.binary(kind, merged, *mask)?;
    }
    Ok(Some(merged))
}
