//! Pooling over windows along one axis or two.

mod backward;
mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

pub use backward::backward;
pub use cpu::forward;

use crate::window::Axis;

/// What becomes of the elements of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The largest; NaN if one is NaN.
    Max,
    /// The mean; padding does not count.
    Average,
}

/// The sizes of a pooling. The windows have neither gaps between taps nor between elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPoolShape {
    /// Independent sequences or images.
    pub batch: usize,
    /// The first axis; [`Axis::UNIT`] for a sequence.
    pub height: Axis,
    /// The second axis: time, for a sequence.
    pub width: Axis,
    /// Features of an element.
    pub features: usize,
}

impl WindowPoolShape {
    /// Elements of the input, `[batch, height, width, features]`.
    pub fn input_len(&self) -> usize {
        self.batch * self.height.len * self.width.len * self.features
    }

    /// Elements of the output, `[batch, height, width, features]`.
    pub fn output_len(&self) -> usize {
        self.batch * self.height.outputs() * self.width.outputs() * self.features
    }
}
