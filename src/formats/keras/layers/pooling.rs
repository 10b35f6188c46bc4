//! `MaxPooling1D`, `AveragePooling1D`, `MaxPooling2D` and `AveragePooling2D`.

use super::spatial::{channels_first, optional_sizes, sizes, sizes_or};
use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::DType;
use crate::ops::{Padding, PoolKind, Window, WindowPool};

#[derive(Debug)]
struct Pooling {
    pool: WindowPool,
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
    let sizes = match kind {
        PoolKind::Max => sizes_or(&options, "pool_size", rank, 2)?,
        PoolKind::Average => sizes(&options, "pool_size", rank)?,
    };
    let strides = optional_sizes(&options, "strides", rank)?.unwrap_or_else(|| sizes.clone());
    let padding = match options.choice("padding", "valid", &["valid", "same"])? {
        "same" => Padding::Same,
        _ => Padding::Valid,
    };
    let channels_first = channels_first(&options)?;
    options.finish()?;
    let window = |(size, stride)| Window { size, stride, padding, ..Window::UNIT };
    let windows = sizes.into_iter().zip(strides).map(window).collect();
    Ok(Box::new(Pooling { pool: WindowPool { kind, windows }, channels_first }))
}

impl KerasLayer for Pooling {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let mut x = input.value;
        call.check_spatial(x, self.pool.windows.len())?;
        let dtype = call.ty(x).dtype;
        if dtype != DType::F32 {
            let problem = format!("its input is {dtype}; only f32 is pooled: cast it before");
            return Err(call.refuse(problem));
        }
        if self.channels_first {
            x = call.features_last(x)?;
        }
        let mut y = call.add(self.pool.clone(), &[x])?;
        if self.channels_first {
            y = call.features_first(y)?;
        }
        Ok(vec![LoweredTensor::plain(y)])
    }
}
