//! Layer normalization over the last axes.

use std::borrow::Cow;

use crate::graph::{Cost, DType, OpError, Operator, Slots, TensorType, elements};

pub use seqfuse_kernels::layer_norm::Form as NormForm;

/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last `axes` axes (Ba et al.
/// 2016), or another [`NormForm`]. `gamma` and `beta` have the shape of those axes and may be
/// empty; only the standard form takes `beta`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// How many of the last axes are normalized together.
    pub axes: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// The formula.
    pub form: NormForm,
}

impl Operator for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("axes", self.axes.to_string()),
            ("epsilon", format!("{:e}", self.epsilon)),
            ("form", format!("{:?}", self.form).to_lowercase()),
        ]
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "gamma", "beta"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(if self.form == NormForm::Standard { 3 } else { 2 })?;
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
