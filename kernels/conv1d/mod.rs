//! Convolution over time.
//!
//! A window of the input is a run of memory when neither dilation nor groups tear it up, and
//! windows overlap; so the product with the kernel reads the input itself, and nothing is copied
//! (no im2col). With dilation or groups a window is a run for each of the kernel's taps.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

pub use cpu::{forward, pack, packed_len};

use crate::activation::Activation;

/// What stands in front of and behind the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: only whole windows count.
    Valid,
    /// Zeros such that there are `ceil(time / stride)` outputs, an odd one behind.
    Same,
    /// Zeros in front only, so that an output sees no later input.
    Causal,
    /// So many zeros.
    Explicit {
        /// In front.
        before: usize,
        /// Behind.
        after: usize,
    },
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dShape {
    /// Independent sequences.
    pub batch: usize,
    /// Input steps.
    pub time: usize,
    /// Input features.
    pub inputs: usize,
    /// Output features.
    pub filters: usize,
    /// Taps of the kernel.
    pub kernel_size: usize,
    /// From a window to the next.
    pub stride: usize,
    /// From a tap to the next.
    pub dilation: usize,
    /// Independent groups of input and output features; divides both.
    pub groups: usize,
    /// Zeros around the input.
    pub padding: Padding,
}

impl Conv1dShape {
    /// Zeros in front of and behind the input.
    pub fn padding_sizes(&self) -> (usize, usize) {
        let reach = self.dilation * (self.kernel_size - 1);
        match self.padding {
            Padding::Valid => (0, 0),
            Padding::Causal => (reach, 0),
            Padding::Explicit { before, after } => (before, after),
            Padding::Same => {
                let last = self.time.div_ceil(self.stride).saturating_sub(1) * self.stride;
                let total = (last + reach + 1).saturating_sub(self.time);
                (total / 2, total - total / 2)
            }
        }
    }

    /// Output steps.
    pub fn out_time(&self) -> usize {
        if self.padding == Padding::Same {
            return self.time.div_ceil(self.stride);
        }
        let (before, after) = self.padding_sizes();
        let window = self.dilation * (self.kernel_size - 1) + 1;
        match (before + self.time + after).checked_sub(window) {
            Some(room) => room / self.stride + 1,
            None => 0,
        }
    }

    /// # Panics
    /// If a size that must not be 0 is 0, or `groups` does not divide.
    fn check(&self) {
        let Conv1dShape { inputs, filters, kernel_size, stride, dilation, groups, .. } = *self;
        assert!(kernel_size * stride * dilation * groups > 0, "conv1d: a size is 0: {self:?}");
        let divides = inputs % groups == 0 && filters % groups == 0;
        assert!(divides, "conv1d: {groups} groups divide not both {inputs} and {filters}");
    }
}

/// What [`forward`] reads.
#[derive(Clone, Copy, Debug)]
pub struct Conv1dCall<'a> {
    /// The sizes.
    pub shape: Conv1dShape,
    /// The input, `[batch, time, inputs]`.
    pub x: &'a [f32],
    /// The kernel as [`pack`] wrote it.
    pub packed: &'a [f32],
    /// The bias, `[filters]`; 0 if absent.
    pub bias: Option<&'a [f32]>,
    /// What is applied to every output.
    pub activation: Activation,
}
