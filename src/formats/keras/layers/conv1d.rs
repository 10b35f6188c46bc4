//! `Conv1D`: convolution over time.

use serde_json::Value;

use super::{Call, KerasLayer, LoweredTensor, VariableSpec, activation_of, initial, width};
use crate::formats::FormatError;
use crate::formats::keras::config::{LayerConfig, Options};
use crate::graph::{Dim, ValueId};
use crate::ops::{self, Activation, Padding};

#[derive(Debug)]
struct Conv1D {
    filters: usize,
    kernel_size: usize,
    stride: usize,
    dilation: usize,
    groups: usize,
    padding: Padding,
    channels_first: bool,
    activation: Activation,
    use_bias: bool,
    kernel: Value,
    bias: Value,
}

pub(super) fn parse(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let padding = match options.choice("padding", "valid", &["valid", "same", "causal"])? {
        "same" => Padding::Same,
        "causal" => Padding::Causal,
        _ => Padding::Valid,
    };
    let kernel_size = match options.value("kernel_size") {
        Some(_) => options.size_1d_or("kernel_size", 1)?,
        None => return Err(options.bad("kernel_size", "one integer of 1 or more")),
    };
    let layer = Conv1D {
        filters: width(&options, "filters")?,
        kernel_size: bounded(&options, "kernel_size", kernel_size)?,
        stride: bounded(&options, "strides", options.size_1d_or("strides", 1)?)?,
        dilation: bounded(&options, "dilation_rate", options.size_1d_or("dilation_rate", 1)?)?,
        groups: options.size_1d_or("groups", 1)?,
        padding,
        channels_first: channels_first(&options)?,
        activation: activation_of(&options, "activation", "linear")?,
        use_bias: options.bool_or("use_bias", true)?,
        kernel: initial(&options, "kernel_initializer", "glorot_uniform")?,
        bias: initial(&options, "bias_initializer", "zeros")?,
    };
    if !layer.filters.is_multiple_of(layer.groups) {
        return Err(options.bad("groups", format!("a divisor of filters = {}", layer.filters)));
    }
    if layer.stride > 1 && layer.dilation > 1 {
        return Err(options.bad("dilation_rate", "1, where strides are greater than 1"));
    }
    let hint = "merge the LoRA weights in Python and save the model again";
    options.only("lora_rank", &Value::Null, hint)?;
    options.ignore(&[
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
        "lora_alpha",
    ]);
    options.finish()?;
    Ok(Box::new(layer))
}

/// Whether features stand before time in a layer's inputs and outputs.
///
/// # Errors
/// If the option is neither of Keras's two.
pub(super) fn channels_first(options: &Options<'_>) -> Result<bool, FormatError> {
    let formats = ["channels_last", "channels_first"];
    Ok(options.choice("data_format", "channels_last", &formats)? == "channels_first")
}

/// A size whose products with others of its kind are sizes.
fn bounded(options: &Options<'_>, option: &str, size: usize) -> Result<usize, FormatError> {
    const LARGEST: usize = 1 << 24;
    match size <= LARGEST {
        true => Ok(size),
        false => Err(options.bad(option, format!("an integer from 1 to {LARGEST}"))),
    }
}

/// Swaps time and features of `[batch, features, time]`, or back.
pub(super) fn swap_last_two(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, FormatError> {
    match call.ty(x).rank() {
        3 => call.transpose(x, &[0, 2, 1]),
        _ => Ok(x),
    }
}

impl KerasLayer for Conv1D {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let axis = if self.channels_first { 1 } else { 2 };
        let dims = call.peek(0, "inputs").map(|ty| ty.dims.as_slice()).unwrap_or_default();
        if dims.len() != 3 {
            return Err(call.refuse(format!("its input has {} dimensions, not 3", dims.len())));
        }
        let features = dims.get(axis).and_then(Dim::known);
        let features = features.ok_or_else(|| call.refuse("its input's features are not known"))?;
        if features % self.groups != 0 {
            let problem =
                format!("its {features} input features do not fall in {} groups", self.groups);
            return Err(call.refuse(problem));
        }
        let shape = [self.kernel_size, features / self.groups, self.filters];
        let mut variables = vec![VariableSpec::new(0, "kernel", shape, &self.kernel)];
        if self.use_bias {
            variables.push(VariableSpec::new(1, "bias", [self.filters], &self.bias));
        }
        Ok(variables)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let input = call.tensor(0, "inputs")?;
        let mut x = call.float(input.value)?;
        if self.channels_first {
            x = swap_last_two(call, x)?;
        }
        let kernel = call.variable(0)?;
        let bias = if self.use_bias { Some(call.variable(1)?) } else { None };
        // An activation of rows sees the last axis, which is time where features stand first.
        let inside = match self.channels_first && !self.activation.is_elementwise() {
            true => Activation::Linear,
            false => self.activation,
        };
        let conv = ops::Conv1d {
            stride: self.stride,
            dilation: self.dilation,
            groups: self.groups,
            padding: self.padding,
            activation: inside,
        };
        let mut y = call.add_node(conv, vec![Some(x), Some(kernel), bias])?[0];
        if self.channels_first {
            y = swap_last_two(call, y)?;
        }
        if inside != self.activation {
            y = call.add(ops::Activate { activation: self.activation }, &[y])?;
        }
        Ok(vec![LoweredTensor::plain(y)])
    }
}
