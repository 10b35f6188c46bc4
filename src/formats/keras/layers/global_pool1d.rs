//! `GlobalMaxPooling1D` and `GlobalAveragePooling1D`.

use super::conv1d::{channels_first, swap_last_two};
use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Dim};
use crate::ops::{GlobalPool, PoolKind};

#[derive(Debug)]
struct GlobalPool1D {
    kind: PoolKind,
    keepdims: bool,
    channels_first: bool,
}

pub(super) fn parse_max(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, PoolKind::Max)
}

pub(super) fn parse_average(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, PoolKind::Average)
}

fn parse(config: &LayerConfig, kind: PoolKind) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let keepdims = options.bool_or("keepdims", false)?;
    let channels_first = channels_first(&options)?;
    options.finish()?;
    Ok(Box::new(GlobalPool1D { kind, keepdims, channels_first }))
}

impl KerasLayer for GlobalPool1D {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let mut x = call.float(input.value)?;
        if self.channels_first {
            x = swap_last_two(call, x)?;
        }
        let mut inputs = vec![Some(x)];
        if self.kind == PoolKind::Average
            && let Some(mask) = call.mask(1, input)?
        {
            inputs.push(Some(call.cast(mask, DType::Bool)?));
        }
        let mut y = call.add_node(GlobalPool { kind: self.kind }, inputs)?[0];
        if self.keepdims
            && let [batch, features] = call.ty(y).dims.clone().as_slice()
        {
            let (batch, features, one) = (batch.clone(), features.clone(), Dim::Known(1));
            let dims = match self.channels_first {
                true => [batch, features, one],
                false => [batch, one, features],
            };
            y = call.reshape(y, dims)?;
        }
        Ok(vec![LoweredTensor::plain(y)])
    }
}
