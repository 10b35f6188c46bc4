//! The convolutions: what they share.

mod conv;
mod depthwise;
mod separable;
mod transpose;

use super::spatial::{channels_first, sizes, sizes_or};
use super::{Call, activation_of, glu};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::graph::{Dim, ValueId};
use crate::ops::{Activate, Activation, Padding, Window};

use super::{KerasLayer, LoweredTensor, VariableSpec, Weight, weight, width};

pub(super) use conv::{parse_1d as parse_conv_1d, parse_2d as parse_conv_2d};
pub(super) use depthwise::{parse_1d as parse_depthwise_1d, parse_2d as parse_depthwise_2d};
pub(super) use separable::{parse_1d as parse_separable_1d, parse_2d as parse_separable_2d};
pub(super) use transpose::{parse_1d as parse_transpose_1d, parse_2d as parse_transpose_2d};

/// The options that every convolution has.
#[derive(Debug)]
struct Shared {
    kernel_size: Vec<usize>,
    strides: Vec<usize>,
    dilation: Vec<usize>,
    padding: Padding,
    channels_first: bool,
    activation: Activation,
    use_bias: bool,
    bias: Weight,
}

impl Shared {
    /// Reads the options of a convolution over `rank` axes.
    fn parse(options: &Options<'_>, rank: usize, causal: bool) -> Result<Shared, FormatError> {
        let paddings = ["valid", "same", "causal"];
        let allowed = if causal { &paddings[..] } else { &paddings[..2] };
        let padding = match options.choice("padding", "valid", allowed)? {
            "same" => Padding::Same,
            "causal" => Padding::Causal,
            _ => Padding::Valid,
        };
        Ok(Shared {
            kernel_size: sizes(options, "kernel_size", rank)?,
            strides: sizes_or(options, "strides", rank, 1)?,
            dilation: sizes_or(options, "dilation_rate", rank, 1)?,
            padding,
            channels_first: channels_first(options)?,
            activation: activation_of(options, "activation", "linear")?,
            use_bias: options.bool_or("use_bias", true)?,
            bias: weight(options, "bias", "zeros")?,
        })
    }

    /// Refuses strides together with dilation, as Keras does for all but depthwise convolutions.
    fn refuse_stride_and_dilation(&self, options: &Options<'_>) -> Result<(), FormatError> {
        let more = |sizes: &[usize]| sizes.iter().any(|&size| size > 1);
        match more(&self.strides) && more(&self.dilation) {
            true => Err(options.bad("dilation_rate", "1, where strides are greater than 1")),
            false => Ok(()),
        }
    }

    fn rank(&self) -> usize {
        self.kernel_size.len()
    }

    /// The windows along each axis.
    fn windows(&self) -> Vec<Window> {
        let sizes = self.kernel_size.iter().zip(&self.strides).zip(&self.dilation);
        let window = |((&size, &stride), &dilation)| Window {
            size,
            stride,
            dilation,
            input_dilation: 1,
            padding: self.padding,
        };
        sizes.map(window).collect()
    }

    /// The kernel's sizes along each axis, then `more`.
    fn kernel_shape(&self, more: [usize; 2]) -> Vec<usize> {
        [&self.kernel_size[..], &more].concat()
    }

    /// The input's features.
    fn features(&self, call: &Call<'_>) -> Result<usize, FormatError> {
        let dims = call.peek(0, "inputs").map(|ty| ty.dims.as_slice()).unwrap_or_default();
        let rank = self.rank() + 2;
        if dims.len() != rank {
            let problem = format!("its input has {} dimensions, not {rank}", dims.len());
            return Err(call.refuse(problem));
        }
        let axis = if self.channels_first { 1 } else { rank - 1 };
        let features = dims.get(axis).and_then(Dim::known);
        features.ok_or_else(|| call.refuse("its input's features are not known"))
    }

    /// Takes the input, as floats with the features last.
    fn input(&self, call: &mut Call<'_>) -> Result<ValueId, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let x = call.float(input.value)?;
        call.check_spatial(x, self.rank())?;
        if self.channels_first { call.features_last(x) } else { Ok(x) }
    }

    /// The activation that the operator can apply itself, which sees the features last.
    fn inside(&self) -> Activation {
        let rows = !self.activation.is_elementwise();
        match self.activation == Activation::Glu || (self.channels_first && rows) {
            true => Activation::Linear,
            false => self.activation,
        }
    }

    /// What the layer gives for the operator's result: features where the layer has them, and the
    /// activation if the operator did not apply it. As in Keras one of rows sees the last axis.
    fn output(&self, call: &mut Call<'_>, y: ValueId) -> Result<Vec<LoweredTensor>, FormatError> {
        let mut y = if self.channels_first { call.features_first(y)? } else { y };
        if self.activation == Activation::Glu {
            y = glu(call, y)?;
        } else if self.inside() != self.activation {
            y = call.add(Activate { activation: self.activation }, &[y])?;
        }
        Ok(vec![LoweredTensor::plain(y)])
    }

    /// The bias, if the layer has one, as variable `index`.
    fn bias(&self, call: &mut Call<'_>, index: usize) -> Result<Option<ValueId>, FormatError> {
        if self.use_bias { call.variable(index).map(Some) } else { Ok(None) }
    }

    /// Adds the bias to the variables of a layer.
    fn with_bias(&self, mut variables: Vec<VariableSpec>, size: usize) -> Vec<VariableSpec> {
        if self.use_bias {
            let index = variables.len();
            variables.push(VariableSpec::new(index, "bias", [size], &self.bias));
        }
        variables
    }
}

/// The product of two sizes.
fn product(call: &Call<'_>, a: usize, b: usize) -> Result<usize, FormatError> {
    a.checked_mul(b).ok_or_else(|| call.refuse(format!("{a} times {b} filters are too many")))
}
