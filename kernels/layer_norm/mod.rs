//! Layer normalization over the last axis (or the product of trailing axes).

mod backward;
mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

pub use backward::{backward, workspace_len};
pub use cpu::forward;

/// What a row is divided by, and whether its mean is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `(x − mean) / sqrt(variance + ε) · γ + β`, with the biased variance
    /// (Ba, Kiros and Hinton, 2016).
    Standard,
    /// `x / sqrt(variance + ε) · γ`: the mean stays. What Keras's `LayerNormalization` computes
    /// with `rms_scaling=True`.
    VarianceScaling,
    /// `x / sqrt(mean(x²) + ε) · γ` (Zhang and Sennrich, 2019): Keras's `RMSNormalization`.
    RootMeanSquare,
}

/// What [`forward`] reads.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormCall<'a, T = f32> {
    /// The values, `[rows, features]`.
    pub x: &'a [T],
    /// The scale, `[features]`; 1 if absent.
    pub gamma: Option<&'a [T]>,
    /// The offset, `[features]`; 0 if absent. Only for [`Form::Standard`].
    pub beta: Option<&'a [T]>,
    /// Values in a row.
    pub features: usize,
    /// What is added to the variance.
    pub epsilon: f32,
    /// The formula.
    pub form: Form,
}

/// What [`backward`] writes; an absent one is not computed.
#[derive(Debug, Default)]
pub struct LayerNormGradients<'a> {
    /// The gradient of x, `[rows, features]`.
    pub dx: Option<&'a mut [f32]>,
    /// The gradient of gamma, `[features]`.
    pub dgamma: Option<&'a mut [f32]>,
    /// The gradient of beta, `[features]`.
    pub dbeta: Option<&'a mut [f32]>,
}
