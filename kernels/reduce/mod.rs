//! Reductions of an axis: sums, products, extrema, any, all, where the extrema stand, and running
//! sums; and their gradients, with the sum to a shape that broadcasts.

mod arg;
mod backward;
#[cfg(test)]
mod backward_tests;
mod cpu;
mod cumulative;
mod fold;
pub mod reference;
mod sum_to;
#[cfg(test)]
mod tests;

pub use arg::{Extreme, argmax, argmin};
pub use backward::{cumsum_backward, extremum_backward, prod_backward, sum_backward};
pub use cpu::{all, any, max, mean, mean_integer, min, prod, sum};
pub use cumulative::cumsum;
pub use fold::Number;
pub use sum_to::{sum_to, sum_to_workspace_len};

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
