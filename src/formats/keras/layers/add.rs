//! `Add`: the sum of several tensors.

use super::{Call, KERAS2, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{Binary, BinaryKind, Reshape};

#[derive(Debug)]
struct Add {
    keras2: bool,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    options.ignore(&["activity_regularizer"]);
    let keras2 = options.bool_or(KERAS2, false)?;
    options.finish()?;
    Ok(Box::new(Add { keras2 }))
}

impl KerasLayer for Add {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let inputs = call.tensors(0, "inputs")?;
        let rank = inputs.iter().map(|input| call.ty(input.value).rank()).max().unwrap_or(0);
        let dtype = common_type(call, &inputs);
        let mut sum = None;
        for input in &inputs {
            let x = call.cast(input.value, dtype)?;
            let x = lifted(call, x, rank)?;
            sum = Some(match sum {
                None => x,
                Some(sum) => call.add(Binary { kind: BinaryKind::Add }, &[sum, x])?,
            });
        }
        let value = sum.ok_or_else(|| call.refuse("it adds nothing"))?;
        Ok(vec![LoweredTensor { value, mask: merged_mask(call, &inputs, self.keras2)? }])
    }
}

/// The type that Keras gives a sum of these.
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

/// `x` with axes of size 1 behind the batch, up to `rank`.
fn lifted(call: &mut Call<'_>, x: ValueId, rank: usize) -> Result<ValueId, FormatError> {
    let dims = &call.ty(x).dims;
    let missing = rank - dims.len();
    if missing == 0 {
        return Ok(x);
    }
    let (batch, rest) = dims.split_at(1.min(dims.len()));
    let dims = [batch, &vec![Dim::Known(1); missing], rest].concat();
    call.add(Reshape::to(dims), &[x])
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
        merged = call.add(Binary { kind }, &[merged, *mask])?;
    }
    Ok(Some(merged))
}
