//! The gradients of operators that read elements by position: what was read from one place is
//! added up there.
//!
//! Sums run in the order of the indices, whatever the number of threads: blocks own the places
//! that they write, and never share one.

mod cpu;
pub mod reference;
#[cfg(test)]
mod tests;

pub(crate) use cpu::add_rows;
pub use cpu::{TakeBackward, slice_backward, take_along_axis_backward, take_backward};
