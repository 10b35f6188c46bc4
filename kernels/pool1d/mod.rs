//! Global pooling over time.

mod backward;
mod cpu;
#[cfg(test)]
mod tests;

pub use backward::{global_average_backward, global_max_backward};
pub use cpu::{global_average, global_max};

/// The sizes of `[batch, time, features]`, pooled to `[batch, features]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    /// Independent sequences.
    pub batch: usize,
    /// Steps pooled.
    pub time: usize,
    /// Features of a step.
    pub features: usize,
}
