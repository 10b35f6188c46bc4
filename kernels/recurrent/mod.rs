//! What recurrent layers share: time, direction, mask, states and the cutting into blocks.
//!
//! One call computes a whole layer. The input's products with the kernel are taken out of the
//! recurrence and computed for all steps at once; then each block of batch rows of each direction
//! walks through time by itself. Blocks are fixed by the shape, so results do not depend on the
//! number of threads.

mod driver;
pub mod general;
#[cfg(test)]
mod keras_fixtures;
pub(crate) mod panels;
pub mod reference;
#[cfg(test)]
mod tests;
pub mod training;

pub(crate) use driver::{Cell, Step, forward, workspace_len};
pub use driver::{Direction, RecurrentCall};

use crate::isa::Isa;

/// The input side of a packed layer: `[input, gates * padded]`, gate after gate, each padded from
/// `units` to `padded` columns with noughts.
#[derive(Clone, Debug)]
pub(crate) struct InputWeights {
    pub isa: Isa,
    pub input: usize,
    pub units: usize,
    /// Units rounded up to whole panels.
    pub padded: usize,
    /// gates * padded.
    pub columns: usize,
    pub kernel: Vec<f32>,
    pub bias: Vec<f32>,
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
        let given = gates * units;
        assert_len("kernel", kernel.len(), &[input, given]);
        let padded = units.next_multiple_of(panel_units);
        let columns = gates * padded;
        let spread = |rows: &[f32], count: usize| {
            let mut out = vec![0.0; count * columns];
            for row in 0..count {
                for gate in 0..gates {
                    let from = &rows[row * given + gate * units..][..units];
                    out[row * columns + gate * padded..][..units].copy_from_slice(from);
                }
            }
            out
        };
        let bias = match bias {
            Some(bias) => {
                assert_len("bias", bias.len(), &[given]);
                spread(bias, 1)
            }
            None => vec![0.0; columns],
        };
        InputWeights { isa, input, units, padded, columns, kernel: spread(kernel, input), bias }
    }
}

/// Fails where a slice has another length than its shape says.
#[track_caller]
pub(crate) fn assert_len(name: &str, len: usize, shape: &[usize]) {
    let expected: usize = shape.iter().product();
    assert!(len == expected, "{name} has {len} values, its shape {shape:?} has {expected}");
}
