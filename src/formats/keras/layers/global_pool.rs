//! `GlobalMaxPooling` and `GlobalAveragePooling`, `1D` and `2D`.

use super::spatial::channels_first;
use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{DType, Dim, ValueId};
use crate::ops::{GlobalPool, PoolKind, Reduce, ReduceKind};

#[derive(Debug)]
struct GlobalPooling {
    kind: PoolKind,
    /// Axes pooled.
    rank: usize,
    keepdims: bool,
    channels_first: bool,
}

pub(super) fn parse_max_1d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, PoolKind::Max, 1)
}

pub(super) fn parse_average_1d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, PoolKind::Average, 1)
}

pub(super) fn parse_max_2d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, PoolKind::Max, 2)
}

pub(super) fn parse_average_2d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, PoolKind::Average, 2)
}

fn parse(
    config: &LayerConfig,
    kind: PoolKind,
    rank: usize,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let keepdims = options.bool_or("keepdims", false)?;
    let channels_first = channels_first(&options)?;
    options.finish()?;
    Ok(Box::new(GlobalPooling { kind, rank, keepdims, channels_first }))
}

impl KerasLayer for GlobalPooling {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        call.check_spatial(input.value, self.rank)?;
        // Only the average over time knows a mask.
        let masks = self.kind == PoolKind::Average && self.rank == 1;
        let mask = if masks { call.mask(1, input)? } else { None };
        let sequence = self.rank == 1 && !self.channels_first;
        let float = call.ty(input.value).dtype == DType::F32;
        let y = match mask.is_some() || (sequence && float) {
            true => self.over_time(call, input.value, mask)?,
            false => self.over_axes(call, input.value)?,
        };
        Ok(vec![LoweredTensor::plain(y)])
    }
}

impl GlobalPooling {
    /// Pools time, under a mask if there is one.
    fn over_time(
        &self,
        call: &mut Call<'_>,
        x: ValueId,
        mask: Option<ValueId>,
    ) -> Result<ValueId, FormatError> {
        let mut x = call.float(x)?;
        if self.channels_first {
            x = call.features_last(x)?;
        }
        let mut inputs = vec![Some(x)];
        if let Some(mask) = mask {
            inputs.push(Some(call.cast(mask, DType::Bool)?));
        }
        let y = call.add_node(GlobalPool { kind: self.kind }, inputs)?[0];
        if !self.keepdims {
            return Ok(y);
        }
        let mut dims = call.ty(y).dims.clone();
        dims.insert(if self.channels_first { 2 } else { 1 }, Dim::Known(1));
        call.reshape(y, dims)
    }

    /// Pools all axes but batch and features; the largest of integers is an integer, as in Keras.
    fn over_axes(&self, call: &mut Call<'_>, x: ValueId) -> Result<ValueId, FormatError> {
        let (kind, x) = match self.kind {
            PoolKind::Max => (ReduceKind::Max, x),
            PoolKind::Average => (ReduceKind::Mean, call.float(x)?),
        };
        let first = if self.channels_first { 2 } else { 1 };
        call.add(Reduce { kind, first, count: self.rank, keepdims: self.keepdims }, &[x])
    }
}
