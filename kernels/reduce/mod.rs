//! Reductions of an axis: sums, products, extrema, any, all, where the extrema stand, and running
//! sums.

mod arg;
mod cpu;
mod cumulative;
mod fold;
pub mod reference;
#[cfg(test)]
mod tests;

pub use arg::{Extreme, argmax, argmin};
pub use cpu::{all, any, max, mean, min, prod, sum};
pub use cumulative::cumsum;
pub use fold::Number;

/// A tensor's axes, grouped about the one that is reduced: `[outer, axis, inner]` becomes
/// `[outer, inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The product of the sizes in front of the axis.
    pub outer: usize,
    /// The size of the axis.
    pub axis: usize,
    /// The product of the sizes behind the axis.
    pub inner: usize,
}

impl Extent {
    fn check(&self, input: usize, output: usize, what: &str) {
        let Extent { outer, axis, inner } = *self;
        assert_eq!(input, outer * axis * inner, "{what}: the input's length");
        assert_eq!(output, outer * inner, "{what}: the output's length");
    }
}
