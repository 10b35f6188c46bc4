//! What recurrent layers share: time, direction, mask, states and the cutting into blocks.
//!
//! One call computes a whole layer. Each block of batch rows of each direction walks through time
//! by itself: a few steps' inputs are multiplied with the kernel at once, while it is in cache, and
//! then the recurrence takes these steps. A single row has no rows to share out; there threads
//! share the units and meet after every step. No sum depends on how rows and units are cut, so
//! results do not depend on the number of threads.

mod call;
mod driver;
pub(crate) mod gates;
pub mod general;
#[cfg(test)]
mod keras_fixtures;
pub(crate) mod panels;
pub mod reference;
mod team;
#[cfg(test)]
mod tests;
pub mod training;
mod walk;

pub use call::{Direction, RecurrentCall};
pub(crate) use driver::{forward, workspace_len};
pub(crate) use walk::{Cell, Step};

use crate::isa::Isa;
use panels::{Panels, plain_vectors};

/// The input side of a packed layer, in panels of all gates of a vector of units; of a cell with
/// one gate, in plain panels.
#[derive(Clone, Debug)]
pub(crate) struct InputWeights {
    pub isa: Isa,
    pub input: usize,
    pub units: usize,
    /// Units rounded up to whole panels.
    pub padded: usize,
    pub kernel: Panels,
    /// A single row.
    pub bias: Panels,
}

impl InputWeights {
    /// Packs `kernel` `[input, gates * units]` and `bias` `[gates * units]`, or none.
    ///
    /// # Panics
    /// If a slice does not have the length that the sizes say.
    pub fn pack(
        isa: Isa,
        (input, units, gates): (usize, usize, usize),
        panel_units: usize,
        kernel: &[f32],
        bias: Option<&[f32]>,
    ) -> InputWeights {
        let columns = gates * units;
        assert_len("kernel", kernel.len(), &[input, columns]);
        let nothing = vec![0.0; if bias.is_none() { columns } else { 0 }];
        let bias = bias.unwrap_or(&nothing);
        assert_len("bias", bias.len(), &[columns]);
        let padded = units.next_multiple_of(panel_units);
        let pack = |matrix: &[f32]| match gates {
            1 => Panels::plain(isa, matrix, columns, 0, units),
            _ => Panels::by_gate(isa, matrix, gates, 0..gates, (units, padded)),
        };
        let (kernel, bias) = (pack(kernel), pack(bias));
        InputWeights { isa, input, units, padded, kernel, bias }
    }

    /// Columns of the products of the input.
    pub fn columns(&self) -> usize {
        self.kernel.count() * self.kernel.width()
    }
}

/// How many units a plain panel of a layer's weights has.
pub(crate) fn plain_units(isa: Isa, units: usize) -> usize {
    isa.lanes() * plain_vectors(units.div_ceil(isa.lanes()))
}

/// Values of a cache line.
pub(crate) const LINE: usize = 16;

/// Memory from its first whole cache line on; that takes less than [`LINE`] values.
pub(crate) fn from_line(memory: &mut [f32]) -> &mut [f32] {
    let start = memory.as_ptr().align_offset(4 * LINE).min(memory.len());
    &mut memory[start..]
}

/// Fails where a slice has another length than its shape says.
#[track_caller]
pub(crate) fn assert_len(name: &str, len: usize, shape: &[usize]) {
    let expected: usize = shape.iter().product();
    assert!(len == expected, "{name} has {len} values, its shape {shape:?} has {expected}");
}
