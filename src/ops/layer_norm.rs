//! Layer normalization over the last axes.

use std::borrow::Cow;

use crate::graph::{Cost, DType, OpError, Operator, Slots, TensorType, elements};

/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last `axes` axes (Ba et al.
/// 2016); with `rms`, `y = x / sqrt(mean(x²) + epsilon) * gamma`. `gamma` and `beta` have the
/// shape of those axes and may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// How many of the last axes are normalized together.
    pub axes: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether the variance is taken without the mean.
    pub rms: bool,
}

impl Operator for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("axes", self.axes.to_string()),
            ("epsilon", format!("{:e}", self.epsilon)),
            ("rms", self.rms.to_string()),
        ]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "gamma", "beta"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let x = inputs.float(0)?;
        if self.axes == 0 || self.axes > x.rank() {
            return Err(inputs.shape_error(0, format!("at least {} dimensions", self.axes)));
        }
        let scale = TensorType::new(DType::F32, &x.dims[x.rank() - self.axes..]);
        inputs.check(1, &scale)?;
        inputs.check(2, &scale)?;
        Ok(vec![x.clone()])
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let written: u64 = outputs.iter().map(elements).sum();
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost { flops: 8 * written, bytes: operands.map(|ty| 4 * elements(ty)).sum() }
    }
}
