//! Counter-based random numbers, and the noise that layers draw from them in training.
//!
//! A number is a function of a [`Stream`] and of the element that it is for, of nothing else: the
//! backward pass draws the same numbers again instead of keeping them, and threads, blocks and
//! instruction sets do not change a bit.

mod dropout;
mod philox;
#[cfg(test)]
mod tests;

pub(crate) use dropout::drop_neighbours;
pub use dropout::{Noise, NoiseCall, backward, dropout_mask, forward};
pub use philox::{Stream, normal, philox4x32, uniform};
