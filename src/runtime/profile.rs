//! Where the time of a run goes.

use std::time::Duration;

/// The time that one node took in one run.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ProfileEntry {
    /// The node's name.
    pub node: String,
    /// The operator's name.
    pub op: &'static str,
    /// From the start of the run, in microseconds.
    pub start_us: f64,
    /// How long it took, in microseconds.
    pub duration_us: f64,
    /// Floating point operations, a fused multiply-add counting as two.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// The nodes of one run, in order.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Profile {
    /// The nodes.
    pub nodes: Vec<ProfileEntry>,
    /// The whole run in microseconds, reading inputs and writing outputs included.
    pub total_us: f64,
}

/// A duration in microseconds.
pub(super) fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
