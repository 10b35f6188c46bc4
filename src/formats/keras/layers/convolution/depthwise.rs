//! `DepthwiseConv1D` and `DepthwiseConv2D`: each feature is convolved on its own.

use super::*;
use crate::ops;

#[derive(Debug)]
struct Depthwise {
    shared: Shared,
    multiplier: usize,
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
    let layer = Depthwise {
        shared: Shared::parse(&options, rank, false)?,
        multiplier: options.size_1d_or("depth_multiplier", 1)?,
        kernel: weight(&options, "depthwise", "glorot_uniform")?,
    };
    options.finish()?;
    Ok(Box::new(layer))
}

/// Adds the convolution of each of the `features` of `x` with `multiplier` filters, whose kernel is
/// `[taps.., features, multiplier]`.
pub(super) fn depthwise(
    call: &mut Call<'_>,
    shared: &Shared,
    inputs: [ValueId; 2],
    bias: Option<ValueId>,
    activation: Activation,
) -> Result<ValueId, FormatError> {
    let [x, kernel] = inputs;
    let rank = shared.rank();
    let dims = call.ty(kernel).dims.clone();
    let sizes: Vec<usize> = dims.iter().skip(rank).filter_map(Dim::known).collect();
    let &[features, multiplier] = sizes.as_slice() else {
        return Err(call.refuse("its kernel has no known shape"));
    };
    let filters = product(call, features, multiplier)?;
    let grouped = shared.kernel_shape([1, filters]).into_iter().map(Dim::Known);
    let kernel = call.reshape(kernel, grouped.collect::<Vec<_>>())?;
    let (windows, groups) = (shared.windows(), features);
    let conv = ops::Conv { windows, groups, transposed: false, activation };
    Ok(call.add_node(conv, vec![Some(x), Some(kernel), bias])?[0])
}

impl KerasLayer for Depthwise {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let features = self.shared.features(call)?;
        let filters = product(call, features, self.multiplier)?;
        let shape = self.shared.kernel_shape([features, self.multiplier]);
        let kernel = VariableSpec::new(0, "kernel", shape, &self.kernel);
        Ok(self.shared.with_bias(vec![kernel], filters))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = self.shared.input(call)?;
        let (kernel, bias) = (call.variable(0)?, self.shared.bias(call, 1)?);
        let y = depthwise(call, &self.shared, [x, kernel], bias, self.shared.inside())?;
        self.shared.output(call, y)
    }
}
