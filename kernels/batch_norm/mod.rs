//! Batch normalization in training (Ioffe and Szegedy, 2015): by the moments of the batch.

mod backward;
mod cpu;
pub mod reference;
mod sums;
#[cfg(test)]
mod tests;

pub use backward::backward;
pub use cpu::forward;

/// What Keras adds to the number of steps that a mask leaves: `keras.config.epsilon()`.
pub const COUNT_EPSILON: f32 = 1e-7;

/// A tensor `[outer, channels, inner]`, normalised for each channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchNormShape {
    /// The product of the sizes in front of the channels.
    pub outer: usize,
    /// Channels.
    pub channels: usize,
    /// The product of the sizes behind the channels.
    pub inner: usize,
}

impl BatchNormShape {
    fn len(&self) -> usize {
        self.outer * self.channels * self.inner
    }

    /// The length of neighbours that share a channel, or, with nothing behind the channels, of
    /// neighbours with a channel each.
    fn run(&self) -> usize {
        if self.inner == 1 { self.channels } else { self.inner }
    }
}

/// Which elements the moments are of: all are normalised, but only these count.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// Not 0 = counts; one for each run of [`repeat`](Steps::repeat) elements.
    pub mask: &'a [u8],
    /// The size of the tensor's last axis, over which Keras repeats a mask.
    pub repeat: usize,
}

/// What [`forward`] reads.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormCall<'a, T = f32> {
    /// The sizes of x and y.
    pub shape: BatchNormShape,
    /// The values, `[outer, channels, inner]`.
    pub x: &'a [T],
    /// The scale, `[channels]`; 1 if absent.
    pub gamma: Option<&'a [T]>,
    /// The offset, `[channels]`; 0 if absent.
    pub beta: Option<&'a [T]>,
    /// The elements that the moments are of; all if absent.
    pub steps: Option<Steps<'a>>,
    /// What is added to the variance.
    pub epsilon: f32,
}

/// What [`forward`] writes.
#[derive(Debug)]
pub struct BatchNormOutput<'a> {
    /// `(x - mean) / sqrt(variance + ε) · γ + β`, `[outer, channels, inner]`.
    pub y: &'a mut [f32],
    /// The mean of each channel.
    pub mean: &'a mut [f32],
    /// The biased variance of each channel. It is the one that Keras 3's moving variance follows.
    pub variance: &'a mut [f32],
}

/// What [`backward`] writes; an absent one is not computed.
#[derive(Debug, Default)]
pub struct BatchNormGradients<'a> {
    /// The gradient of x, through the moments too, `[outer, channels, inner]`.
    pub dx: Option<&'a mut [f32]>,
    /// The gradient of gamma, `[channels]`.
    pub dgamma: Option<&'a mut [f32]>,
    /// The gradient of beta, `[channels]`.
    pub dbeta: Option<&'a mut [f32]>,
}

/// How many values of workspace [`forward`] and [`backward`] need: two sums of each block, and
/// three values of each channel.
pub fn workspace_len(shape: &BatchNormShape) -> usize {
    (2 * sums::blocks(shape) + 3) * shape.channels
}

impl<T> BatchNormCall<'_, T> {
    fn check(&self, workspace: usize) {
        let BatchNormShape { outer, channels, inner } = self.shape;
        assert_eq!(self.x.len(), outer * channels * inner, "batch_norm: the input's length");
        for parameter in [self.gamma, self.beta].into_iter().flatten() {
            assert_eq!(parameter.len(), channels, "batch_norm: a parameter's length");
        }
        if let Some(Steps { mask, repeat }) = self.steps {
            assert_eq!(mask.len() * repeat, self.x.len(), "batch_norm: the mask's length");
            let whole = repeat > 0 && self.shape.run().is_multiple_of(repeat);
            assert!(whole || self.x.is_empty(), "batch_norm: a last axis of {repeat}");
        }
        assert!(workspace >= workspace_len(&self.shape), "batch_norm: the workspace is too short");
    }
}
