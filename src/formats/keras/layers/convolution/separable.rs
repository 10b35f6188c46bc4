//! `SeparableConv1D` and `SeparableConv2D`: each feature is convolved on its own, then all are
//! mixed at each step.

use super::depthwise::depthwise;
use super::*;
use crate::ops::Dense;

#[derive(Debug)]
struct Separable {
    shared: Shared,
    filters: usize,
    multiplier: usize,
    depthwise: Weight,
    pointwise: Weight,
}

pub(in super::super) fn parse_1d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, 1)
}

pub(in super::super) fn parse_2d(config: &LayerConfig) -> Result<Box<dyn KerasLayer>, FormatError> {
    parse(config, 2)
}

fn parse(config: &LayerConfig, rank: usize) -> Result<Box<dyn KerasLayer>, FormatError> {
    let options = config.options();
    let layer = Separable {
        // Keras 2 knows the causal one; Keras 3 saves none.
        shared: Shared::parse(&options, rank, rank == 1)?,
        filters: width(&options, "filters")?,
        multiplier: options.size_1d_or("depth_multiplier", 1)?,
        depthwise: weight(&options, "depthwise", "glorot_uniform")?,
        pointwise: weight(&options, "pointwise", "glorot_uniform")?,
    };
    options.finish()?;
    Ok(Box::new(layer))
}

impl KerasLayer for Separable {
    fn variables(&self, call: &Call<'_>) -> Result<Vec<VariableSpec>, FormatError> {
        let features = self.shared.features(call)?;
        let mixed = product(call, features, self.multiplier)?;
        let shape = self.shared.kernel_shape([features, self.multiplier]);
        let depthwise = VariableSpec::new(0, "depthwise_kernel", shape, &self.depthwise);
        let shape = [vec![1; self.shared.rank()], vec![mixed, self.filters]].concat();
        let pointwise = VariableSpec::new(1, "pointwise_kernel", shape, &self.pointwise);
        Ok(self.shared.with_bias(vec![depthwise, pointwise], self.filters))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Vec<LoweredTensor>, FormatError> {
        let x = self.shared.input(call)?;
        let (kernel, pointwise) = (call.variable(0)?, call.variable(1)?);
        let bias = self.shared.bias(call, 2)?;
        let x = depthwise(call, &self.shared, [x, kernel], None, Activation::Linear)?;
        let dims = call.ty(pointwise).dims.get(self.shared.rank()..).unwrap_or_default().to_vec();
        let pointwise = call.reshape(pointwise, dims)?;
        let dense = Dense { contract: 1, activation: self.shared.inside() };
        let y = call.add_node(dense, vec![Some(x), Some(pointwise), bias])?[0];
        self.shared.output(call, y)
    }
}
