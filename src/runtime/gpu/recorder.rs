//! Recording: operators with resolved offsets and sizes become a list of calls.

use std::sync::Arc;

use super::device::GpuDevice;
use super::error::GpuError;
use super::pipeline::{PARAMETER_BYTES, Pipeline, PipelineKey};

/// The offset that stands for "not there" in a kernel's parameters.
pub(super) const NONE: u32 = u32::MAX;

/// One dispatch: a pipeline, the buffer of weights it reads, its parameters and its grid.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) label: String,
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) weights: u32,
    pub(super) parameters: Vec<u32>,
    pub(super) grid: [u32; 3],
}

/// What a kernel notes in a status word: 0 if all was well.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) label: String,
    pub(super) kind: CheckKind,
}

#[derive(Clone, Debug)]
pub(super) enum CheckKind {
    /// An id is out of range; the word is `u32::MAX` less its position.
    Id { ids: u32, vocabulary: u32 },
    /// Words of 32 bits cannot give the result, or there is none: the processor has to say.
    Unfit,
}

/// A finished list of calls, to be made into a [`super::Program`].
#[derive(Debug, Default)]
pub struct Calls {
    pub(super) calls: Vec<Call>,
    /// By status word.
    pub(super) checks: Vec<Check>,
    pub(super) arena_words: u64,
}

impl Calls {
    /// The number of dispatches.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Words of the arena that the calls touch.
    pub fn arena_words(&self) -> u64 {
        self.arena_words
    }

    /// Each dispatch's label and kernel, in order.
    pub fn describe(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.calls.iter().map(|call| (call.label.as_str(), call.pipeline.name()))
    }
}

/// Records operators in the order in which they are to run. Offsets are words of the arena.
///
/// Operators of no elements are checked and then left out. An operator whose regions overlap in
/// another way than its documentation allows gives undefined numbers, not undefined behaviour.
#[derive(Debug)]
pub struct Recorder<'a> {
    pub(super) device: &'a GpuDevice,
    pub(super) calls: Calls,
}

impl<'a> Recorder<'a> {
    /// An empty list for `device`.
    pub fn new(device: &'a GpuDevice) -> Recorder<'a> {
        Recorder { device, calls: Calls::default() }
    }

    /// The list.
    pub fn finish(self) -> Calls {
        self.calls
    }

    /// Notes that a call touches `words` words from `offset` on.
    pub(super) fn touch(&mut self, what: &str, offset: u32, words: u64) -> Result<(), GpuError> {
        let end = u64::from(offset) + words;
        // The last word's offset has to be below NONE.
        if end >= u64::from(NONE) {
            return Err(GpuError::Limit {
                what: format!("the arena, up to a value of {what},"),
                needed: end,
                limit: "words of 32-bit offsets",
                available: u64::from(NONE) - 1,
            });
        }
        self.calls.arena_words = self.calls.arena_words.max(end);
        Ok(())
    }

    /// A status word that a kernel sets to 1 where it cannot give the result; the run then is
    /// [`GpuError::Unfit`], and a Session runs the stage on the processor.
    pub fn checked(&mut self, label: &str) -> u32 {
        let status = self.calls.checks.len() as u32;
        self.calls.checks.push(Check { label: label.to_owned(), kind: CheckKind::Unfit });
        status
    }

    /// The product of sizes that a kernel counts in 32 bits.
    pub(super) fn count(what: &str, sizes: &[u32]) -> Result<u32, GpuError> {
        let product = sizes
            .iter()
            .try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)))
            .unwrap_or(u64::MAX);
        match u32::try_from(product) {
            Ok(count) if count < NONE => Ok(count),
            _ => Err(GpuError::Limit {
                what: what.to_owned(),
                needed: product,
                limit: "elements counted in 32 bits",
                available: u64::from(NONE) - 1,
            }),
        }
    }

    /// Spreads `workgroups` over two dimensions, since one has a limit.
    pub(super) fn flat_grid(&self, what: &str, workgroups: u32) -> Result<[u32; 3], GpuError> {
        let limit = self.device.limits.max_compute_workgroups_per_dimension.max(1);
        let x = workgroups.min(limit);
        let y = if x == 0 { 0 } else { workgroups.div_ceil(x) };
        self.check_grid(what, [x, y, 1])
    }

    /// Refuses loops that the device would not run to their end.
    pub(super) fn check_rounds(&self, what: &str, rounds: u64) -> Result<(), GpuError> {
        let available = self.device.max_rounds();
        match rounds <= available {
            true => Ok(()),
            false => Err(GpuError::Limit {
                what: what.to_owned(),
                needed: rounds,
                limit: "rounds of loops in a thread",
                available,
            }),
        }
    }

    pub(super) fn check_grid(&self, what: &str, grid: [u32; 3]) -> Result<[u32; 3], GpuError> {
        let limit = self.device.limits.max_compute_workgroups_per_dimension;
        match grid.into_iter().find(|&size| size > limit) {
            None => Ok(grid),
            Some(size) => Err(GpuError::Limit {
                what: what.to_owned(),
                needed: size.into(),
                limit: "maxComputeWorkgroupsPerDimension",
                available: limit.into(),
            }),
        }
    }

    /// Appends a call; one with an empty grid is left out.
    pub(super) fn call(
        &mut self,
        label: &str,
        key: &PipelineKey,
        weights: u32,
        parameters: Vec<u32>,
        grid: [u32; 3],
    ) -> Result<(), GpuError> {
        if parameters.len() as u64 * 4 > PARAMETER_BYTES {
            return Err(GpuError::arguments(label, "its parameters are too long"));
        }
        if grid.contains(&0) {
            return Ok(());
        }
        let pipeline = self.device.pipeline(key)?;
        let label = label.to_owned();
        self.calls.calls.push(Call { label, pipeline, weights, parameters, grid });
        Ok(())
    }
}
