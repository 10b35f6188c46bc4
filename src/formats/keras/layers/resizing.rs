//! `UpSampling`, `ZeroPadding` and `Cropping`, `1D` and `2D`.

use super::spatial::{channels_first, margins, sizes_or};
use super::{Call, KerasLayer, LoweredTensor};
use crate::formats::FormatError;
use crate::formats::keras::config::LayerConfig;
use crate::graph::{Dim, ValueId};
use crate::ops::{Crop, Pad, Tile};

/// What becomes of the axes between batch and features.
#[derive(Debug)]
enum Change {
    /// Each element this many times.
    Repeat(Vec<usize>),
    /// So many zeros in front and behind.
    Pad(Vec<(usize, usize)>),
    /// So many elements fewer in front and behind.
    Crop(Vec<(usize, usize)>),
}

#[derive(Debug)]
struct Resizing {
    change: Change,
    channels_first: bool,
}

pub(super) fn parse_up_sampling_1d(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let change = Change::Repeat(sizes_or(&options, "size", 1, 2)?);
    options.finish()?;
    Ok(Box::new(Resizing { change, channels_first: false }))
}

pub(super) fn parse_up_sampling_2d(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let change = Change::Repeat(sizes_or(&options, "size", 2, 2)?);
    options.only("interpolation", &"nearest".into(), "only 'nearest' is supported")?;
    let channels_first = channels_first(&options)?;
    options.finish()?;
    Ok(Box::new(Resizing { change, channels_first }))
}

pub(super) fn parse_zero_padding_1d(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse_zero_padding(config, 1)
}

pub(super) fn parse_zero_padding_2d(
    config: &LayerConfig,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse_zero_padding(config, 2)
}

fn parse_zero_padding(
    config: &LayerConfig,
    rank: usize,
) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let change = Change::Pad(margins(&options, "padding", rank, 1)?);
    let channels_first = channels_first(&options)?;
    options.finish()?;
    Ok(Box::new(Resizing { change, channels_first }))
}

pub(super) fn parse_cropping_1d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let change = Change::Crop(margins(&options, "cropping", 1, 1)?);
    options.finish()?;
    Ok(Box::new(Resizing { change, channels_first: false }))
}

pub(super) fn parse_cropping_2d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let change = Change::Crop(margins(&options, "cropping", 2, 0)?);
    let channels_first = channels_first(&options)?;
    options.finish()?;
    Ok(Box::new(Resizing { change, channels_first }))
}

impl KerasLayer for Resizing {
    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = call.tensor(0, "inputs")?.value;
        let first = if self.channels_first { 2 } else { 1 };
        let rank = match &self.change {
            Change::Repeat(sizes) => sizes.len(),
            Change::Pad(margins) | Change::Crop(margins) => margins.len(),
        };
        call.check_spatial(x, rank)?;
        let y = match &self.change {
            Change::Repeat(sizes) => repeat(call, x, first, sizes)?,
            Change::Pad(margins) => {
                let (before, after) = all_axes(margins, first);
                call.add(Pad { before, after }, &[x])?
            }
            Change::Crop(margins) => {
                let (before, after) = all_axes(margins, first);
                call.add(Crop { before, after }, &[x])?
            }
        };
        Ok(vec![LoweredTensor::plain(y)])
    }
}

/// Margins of all axes of a tensor with batch and features, of which `margins` are those from
/// `first` on.
fn all_axes(margins: &[(usize, usize)], first: usize) -> (Vec<usize>, Vec<usize>) {
    let mut all = vec![(0, 0); margins.len() + 2];
    all.iter_mut().skip(first).zip(margins).for_each(|(axis, margin)| *axis = *margin);
    all.into_iter().unzip()
}

/// Repeats each element along the axes from `first` on, by a new axis behind each of them.
fn repeat(
    call: &mut Call<'_>,
    x: ValueId,
    first: usize,
    sizes: &[usize],
) -> Result<ValueId, FormatError> {
    let (mut apart, mut repeats, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for (axis, dim) in call.ty(x).dims.clone().into_iter().enumerate() {
        let size = axis.checked_sub(first).and_then(|axis| sizes.get(axis)).copied();
        apart.push(dim.clone());
        repeats.push(1);
        if let Some(size) = size {
            apart.push(Dim::Known(1));
            repeats.push(size);
        }
        together.push(dim * Dim::Known(size.unwrap_or(1)));
    }
    let x = call.reshape(x, apart)?;
    let x = call.add(Tile { repeats }, &[x])?;
    call.reshape(x, together)
}
