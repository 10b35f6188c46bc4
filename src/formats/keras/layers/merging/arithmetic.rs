//! `Add`, `Subtract` and `Average`: element by element, whatever the masks say.

use super::{aligned, inputs_of, merged_mask, merges_as_keras2};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::formats::keras::layers::{Call, KerasLayer, LoweredTensor};
use crate::graph::{DType, Tensor};
use crate::ops::BinaryKind;

/// What the elements give.
#[derive(Clone, Copy, Debug)]
enum Arithmetic {
    /// Their sum.
    Add,
    /// The first less the second.
    Subtract,
    /// Their mean, in floating point.
    Average,
}

#[derive(Debug)]
struct Merge {
    arithmetic: Arithmetic,
    keras2: bool,
}

fn parse(config: &LayerConfig, arithmetic: Arithmetic) -> Result<Box<dyn KerasLayer>, FormatError> {
    Ok(Box::new(Merge { arithmetic, keras2: merges_as_keras2(config)? }))
}

pub(in super::super) fn parse_add(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, Arithmetic::Add)
}

pub(in super::super) fn parse_subtract(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, Arithmetic::Subtract)
}

pub(in super::super) fn parse_average(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, Arithmetic::Average)
}

impl KerasLayer for Merge {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let inputs = inputs_of(call)?;
        let kind = match self.arithmetic {
            Arithmetic::Subtract => BinaryKind::Subtract,
            Arithmetic::Add | Arithmetic::Average => BinaryKind::Add,
        };
        if matches!(self.arithmetic, Arithmetic::Subtract) && inputs.len() != 2 {
            return Err(call.bad("inputs", format_args!("{} tensors", inputs.len()), "two"));
        }
        let mut total = None;
        for x in aligned(call, &inputs)? {
            total = Some(match total {
                None => x.value,
                Some(total) => call.binary(kind, total, x.value)?,
            });
        }
        let mut value = total.ok_or_else(|| call.refuse("it merges nothing"))?;
        if matches!(self.arithmetic, Arithmetic::Average) {
            value = call.cast(value, DType::F32)?;
            let count = call.constant(Tensor::scalar(inputs.len() as f32));
            value = call.binary(BinaryKind::Divide, value, count)?;
        }
        Ok(vec![LoweredTensor { value, mask: merged_mask(call, &inputs, self.keras2)? }])
    }
}
