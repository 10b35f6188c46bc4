//! Convolution along one axis or two, and its transpose.
//!
//! A window of the input is a run of memory when neither dilation nor groups tear it up, and
//! windows overlap; so the product with the kernel reads the input itself, and nothing is copied
//! (no im2col). With dilation or groups a window is a run for each of the kernel's taps. Where
//! every group has one input feature (depthwise) there is no product to speak of, and the inner
//! loop runs over features.
//!
//! A transposed convolution is one with gaps between the input's elements ([`Window`]'s
//! `input_dilation`); an output then meets every so many taps, which are packed side by side.

mod backward;
#[cfg(test)]
mod backward_tests;
mod cpu;
mod depthwise;
mod kernel_gradient;
mod pack;
pub mod reference;
#[cfg(test)]
mod tests;

pub use crate::window::{Axis, Padding, Window};
pub use backward::{
    ConvBackward, ConvGradients, backward, backward_workspace_len, forward_unpacked,
    forward_unpacked_workspace_len,
};
pub use cpu::forward;
use kernel_gradient::{kernel_gradient, kernel_gradient_len};
pub use pack::{pack, packed_len};

use crate::activation::Activation;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Independent sequences or images.
    pub batch: usize,
    /// The first axis; [`Axis::UNIT`] for a sequence.
    pub height: Axis,
    /// The second axis: time, for a sequence.
    pub width: Axis,
    /// Input features.
    pub inputs: usize,
    /// Output features.
    pub filters: usize,
    /// Independent groups of input and output features; divides both.
    pub groups: usize,
    /// Whether the kernel is that of a transposed convolution, with its taps in reverse order:
    /// `[height, width, filters / groups, inputs]` rather than `[height, width, inputs / groups,
    /// filters]`.
    pub transposed: bool,
}

impl ConvShape {
    /// Elements of the input, `[batch, height, width, inputs]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.height.len * self.width.len * self.inputs
    }

    /// Elements of the output, `[batch, height, width, filters]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.height.outputs() * self.width.outputs() * self.filters
    }

    /// Elements of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.taps() * (self.inputs / self.groups) * self.filters
    }

    fn taps(&self) -> usize {
        self.height.window.size * self.width.window.size
    }

    /// Whether every input feature is a group of its own.
    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.inputs
    }

    /// # Panics
    /// If a size that must not be 0 is 0, or `groups` does not divide.
    fn check(&self) {
        let ConvShape { inputs, filters, groups, .. } = *self;
        self.height.window.check("conv");
        self.width.window.check("conv");
        let divides = groups > 0 && inputs % groups == 0 && filters % groups == 0;
        assert!(divides, "conv: {groups} groups divide not both {inputs} and {filters}");
    }
}

/// What [`forward`] reads.
#[derive(Clone, Copy, Debug)]
pub struct ConvCall<'a> {
    /// The sizes.
    pub shape: ConvShape,
    /// The input, `[batch, height, width, inputs]`.
    pub x: &'a [f32],
    /// The kernel as [`pack`] wrote it.
    pub packed: &'a [f32],
    /// The bias, `[filters]`; 0 if absent.
    pub bias: Option<&'a [f32]>,
    /// What is applied to every output.
    pub activation: Activation,
}

/// What [`forward_unpacked`] reads: as [`ConvCall`], with the kernel as it is.
#[derive(Clone, Copy, Debug)]
pub struct UnpackedCall<'a> {
    /// The sizes.
    pub shape: ConvShape,
    /// The input, `[batch, height, width, inputs]`.
    pub x: &'a [f32],
    /// The kernel; see [`ConvShape::transposed`].
    pub kernel: &'a [f32],
    /// The bias, `[filters]`; 0 if absent.
    pub bias: Option<&'a [f32]>,
    /// What is applied to every output.
    pub activation: Activation,
}
