//! `Conv1DTranspose` and `Conv2DTranspose`.

use super::*;
use crate::ops;

#[derive(Debug)]
struct ConvTranspose {
    shared: Shared,
    filters: usize,
    windows: Vec<Window>,
    kernel: Weight,
}

pub(in super::super) fn parse_1d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, 1)
}

pub(in super::super) fn parse_2d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, 2)
}

fn parse(config: &LayerConfig, rank: usize) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let shared = Shared::parse(&options, rank, false)?;
    shared.refuse_stride_and_dilation(&options)?;
    let layer = ConvTranspose {
        filters: width(&options, "filters")?,
        windows: windows(&options, &shared)?,
        kernel: weight(&options, "kernel", "glorot_uniform")?,
        shared,
    };
    options.finish()?;
    Ok(Box::new(layer))
}

/// The windows along each axis, with `output_padding` in them.
fn windows(options: &Options<'_>, shared: &Shared) -> Result<Vec<Window>, FormatError> {
    let rank = shared.rank();
    let more = match options.optional_usizes("output_padding")? {
        None => vec![None; rank],
        Some(found) => {
            let listed = options.value("output_padding").is_some_and(serde_json::Value::is_array);
            let found = if listed { found } else { found.repeat(rank) };
            found.into_iter().map(Some).collect()
        }
    };
    let fits =
        more.iter().zip(&shared.strides).all(|(more, stride)| more.is_none_or(|m| m < *stride));
    if more.len() != rank || !fits {
        return Err(options.bad("output_padding", "integers below the strides, one an axis"));
    }
    let axes = shared.windows().into_iter().zip(more);
    let windows: Option<Vec<Window>> =
        axes.map(|(window, more)| turned_round(window, more)).collect();
    // TensorFlow cannot run it: no convolution gives the input's size for such an output's.
    windows.ok_or_else(|| {
        options.bad("output_padding", "1 or more where padding is 'same' and the kernel is even")
    })
}

/// The windows of the convolution that turns `window` round: gaps between the input's elements
/// where that one has strides, and padding such that an input of `n` elements gives
/// `(n - 1) · stride + extent` outputs. `None` where the extent is 0.
fn turned_round(window: Window, output_padding: Option<usize>) -> Option<Window> {
    let (reach, stride) = (window.reach(), window.stride);
    let taps = reach + 1;
    // The extent, and what the other convolution pads in front of its input.
    let (extent, cut) = match (window.padding, output_padding) {
        (Padding::Same, None) => (stride, taps.saturating_sub(stride) / 2),
        (Padding::Same, Some(more)) => {
            let extent = taps % 2 + more;
            (extent, taps.saturating_sub(extent) / 2)
        }
        (_, None) => (taps.max(stride), 0),
        (_, Some(more)) => (taps + more, 0),
    };
    let padding = Padding::Explicit { before: reach - cut, after: extent.checked_sub(1)? + cut };
    Some(Window { stride: 1, input_dilation: stride, padding, ..window })
}

impl KerasLayer for ConvTranspose {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let features = self.shared.features(call)?;
        let shape = self.shared.kernel_shape([self.filters, features]);
        let kernel = VariableSpec::new(0, "kernel", shape, &self.kernel);
        Ok(self.shared.with_bias(vec![kernel], self.filters))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = self.shared.input(call)?;
        let (kernel, bias) = (call.variable(0)?, self.shared.bias(call, 1)?);
        let conv = ops::Conv {
            windows: self.windows.clone(),
            groups: 1,
            transposed: true,
            activation: self.shared.inside(),
        };
        let y = call.add_node(conv, vec![Some(x), Some(kernel), bias])?[0];
        self.shared.output(call, y)
    }
}
