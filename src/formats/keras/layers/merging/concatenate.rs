//! `Concatenate`: several tensors one after another along an axis.

use super::{common_type, inputs_of};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::axes::position;
use crate::formats::keras::layers::{Call, KERAS2, KerasLayer, LoweredTensor};
use crate::graph::{Dim, Tensor, ValueId};
use crate::ops::{BinaryKind, Concat, FullLike, Reduce, ReduceKind};

#[derive(Debug)]
struct Concatenate {
    axis: i64,
    /// In Keras 2 a step counts where all features do, in Keras 3 where any does.
    keras2: bool,
}

pub(in super::super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let axis = options.i64_or("axis", -1)?;
    let keras2 = options.bool_or(KERAS2, false)?;
    options.finish()?;
    Ok(Box::new(Concatenate { axis, keras2 }))
}

impl KerasLayer for Concatenate {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let inputs = inputs_of(call)?;
        let rank = inputs.first().map_or(0, |first| call.ty(first.value).rank());
        let axis =
            position(self.axis, rank).ok_or_else(|| call.bad_axes("axis", &[self.axis], rank))?;
        let dtype = common_type(call, &inputs);
        let parts = inputs.iter().map(|input| call.cast(input.value, dtype));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let value = call.add(Concat { axis }, &parts)?;
        Ok(vec![LoweredTensor { value, mask: self.mask(call, &inputs, axis)? }])
    }
}

impl Concatenate {
    /// Which steps of the result count: those that any element of the inputs' masks, spread over
    /// their features and joined as the inputs are, counts. An input without a mask counts whole.
    fn mask(
        &self,
        call: &mut Call<'_>,
        inputs: &[LoweredTensor],
        axis: usize,
    ) -> Result<Option<ValueId>, FormatError> {
        if inputs.iter().all(|input| input.mask.is_none()) {
            return Ok(None);
        }
        let steps = inputs.iter().map(|input| steps(call, input)).collect::<Option<Vec<_>>>();
        if let Some(steps) = steps {
            let kind = if self.keras2 { BinaryKind::And } else { BinaryKind::Or };
            return joined_steps(call, &steps, inputs, axis, kind).map(Some);
        }
        let spread =
            inputs.iter().map(|input| spread(call, input)).collect::<Result<Vec<_>, _>>()?;
        // Keras counts a negative axis from the end of the masks, whose rank is the inputs'.
        let joined = match spread.as_slice() {
            [single] => *single,
            _ => call.add(Concat { axis }, &spread)?,
        };
        let Some(last) = call.ty(joined).rank().checked_sub(1) else { return Ok(None) };
        let kind = if self.keras2 { ReduceKind::All } else { ReduceKind::Any };
        let steps = Reduce { kind, first: last, count: 1, keepdims: false };
        call.add(steps, &[joined]).map(Some)
    }
}

/// The mask of an input that has one for each of its feature rows.
fn steps(call: &Call<'_>, input: &LoweredTensor) -> Option<ValueId> {
    let mask = input.mask?;
    let (last, rows) = call.ty(input.value).dims.split_last()?;
    let has_features = last.known().is_some_and(|size| size > 0);
    (has_features && call.ty(mask).dims == rows).then_some(mask)
}

/// Masks that all fit their inputs' feature rows: joined along an axis of rows, or united.
fn joined_steps(
    call: &mut Call<'_>,
    steps: &[ValueId],
    inputs: &[LoweredTensor],
    axis: usize,
    kind: BinaryKind,
) -> Result<ValueId, FormatError> {
    let rank = inputs.first().map_or(0, |input| call.ty(input.value).rank());
    if axis + 1 < rank {
        return call.add(Concat { axis }, steps);
    }
    let mut united = steps.first().copied();
    for &mask in steps.iter().skip(1) {
        united = match united {
            Some(other) if other != mask => Some(call.binary(kind, other, mask)?),
            _ => Some(mask),
        };
    }
    united.ok_or_else(|| call.refuse("it merges nothing"))
}

/// An input's mask in the input's own shape.
fn spread(call: &mut Call<'_>, input: &LoweredTensor) -> Result<ValueId, FormatError> {
    let truth = call.constant(Tensor::scalar(input.mask.is_none()));
    let whole = call.add(FullLike, &[input.value, truth])?;
    let Some(mask) = input.mask else { return Ok(whole) };
    if call.ty(mask).rank() >= call.ty(input.value).rank() {
        return Ok(mask);
    }
    let mut dims = call.ty(mask).dims.clone();
    dims.push(Dim::Known(1));
    let column = call.reshape(mask, dims)?;
    call.binary(BinaryKind::Or, column, whole)
}
