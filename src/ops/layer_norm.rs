//! Layer normalization over the last axes.

use std::borrow::Cow;

use crate::graph::{
    Adjoint, Cost, DType, GraphError, OpError, Operator, Slots, TensorType, elements,
};

pub use seqfuse_kernels::layer_norm::Form as NormForm;

/// `y = (x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last `axes` axes (Ba et al.
/// 2016), or another [`NormForm`]. `gamma` and `beta` have the shape of those axes and may be
/// empty; only the standard form takes `beta`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
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

    fn differentiate(&self, adjoint: &mut Adjoint<'_>) -> Result<(), GraphError> {
        let Some(dy) = adjoint.gradient(0) else { return Ok(()) };
        let (x, gamma) = (adjoint.input(0)?, adjoint.optional(1));
        let gradient = LayerNormGradient(self.clone());
        let gradients = adjoint.add_node(gradient, vec![Some(x), gamma, Some(dy)])?;
        for (slot, gradient) in gradients.into_iter().enumerate() {
            if adjoint.optional(slot).is_some() && adjoint.wants(slot) {
                adjoint.give(slot, gradient);
            }
        }
        Ok(())
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let written: u64 = outputs.iter().map(elements).sum();
        let operands = inputs.iter().flatten().copied().chain(outputs);
        Cost { flops: 8 * written, bytes: operands.map(|ty| 4 * elements(ty)).sum() }
    }
}

/// The gradients of a [`LayerNorm`]: `x`, `gamma` (may be empty) and the result's gradient `dy` give
/// `dx`, `dgamma` and `dbeta`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNormGradient(pub LayerNorm);

impl Operator for LayerNormGradient {
    fn name(&self) -> &'static str {
        "layer_norm_gradient"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.0.attributes()
    }

    fn input_name(&self, index: usize) -> Cow<'static, str> {
        Cow::Borrowed(["x", "gamma", "dy"].get(index).copied().unwrap_or("surplus"))
    }

    fn infer(&self, inputs: Slots<'_>) -> Result<Vec<TensorType>, OpError> {
        inputs.at_most(3)?;
        let (x, dy) = (inputs.float(0)?, inputs.float(2)?);
        self.0.infer(Slots::new(&self.0, &[Some(x), inputs.optional(1)]))?;
        if !x.accepts(dy) {
            return Err(inputs.shape_error(2, x.to_string()));
        }
        let scale = TensorType::new(DType::F32, &x.dims[x.rank() - self.0.axes..]);
        Ok(vec![x.clone(), scale.clone(), scale])
    }

    fn cost(&self, inputs: &[Option<&TensorType>], outputs: &[TensorType]) -> Cost {
        let read: u64 = inputs.iter().flatten().copied().map(elements).sum();
        let written: u64 = outputs.iter().map(elements).sum();
        Cost { flops: 16 * outputs.first().map_or(0, elements), bytes: 4 * (read + written) }
    }
}
