//! Softmax and its logarithm along an axis.

mod backward;
mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

pub use backward::backward;
pub use cpu::forward;

/// What a softmax gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Probabilities.
    Probability,
    /// Their logarithms.
    Logarithm,
}

/// What [`forward`] reads: a tensor `[outer, axis, inner]`, normalised along `axis`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxCall<'a, T = f32> {
    /// The logits.
    pub x: &'a [T],
    /// A mask of the same shape: 0 leaves an element out and makes its result 0. A row without
    /// any element left is all zeros, as Keras's `Softmax` layer has it. Only for
    /// [`Form::Probability`].
    pub mask: Option<&'a [u8]>,
    /// The product of the sizes in front of the axis.
    pub outer: usize,
    /// The size of the axis.
    pub axis: usize,
    /// The product of the sizes behind the axis.
    pub inner: usize,
    /// Probabilities or their logarithms.
    pub form: Form,
}

/// What [`backward`] reads: tensors `[outer, axis, inner]`, normalised along `axis`.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxGradient<'a, T = f32> {
    /// The result of [`forward`].
    pub y: &'a [T],
    /// Its gradient.
    pub dy: &'a [T],
    /// The product of the sizes in front of the axis.
    pub outer: usize,
    /// The size of the axis.
    pub axis: usize,
    /// The product of the sizes behind the axis.
    pub inner: usize,
    /// What the result is.
    pub form: Form,
}
