//! The simple cell: a product, then its activation row by row.

use super::SimpleRnnWeights;
use crate::isa::Simd;
use crate::recurrent::panels::{PLAIN_VECTORS, Rows, Stored, product};
use crate::recurrent::{Cell, InputWeights, Step};

impl Cell for SimpleRnnWeights {
    const CELL_STATE: bool = false;

    fn input_weights(&self) -> &InputWeights {
        &self.input
    }

    /// Values of memory for each row: none.
    fn scratch(&self) -> usize {
        0
    }

    #[inline(always)]
    fn step<S: Simd>(&self, simd: S, step: Step<'_>) {
        let InputWeights { isa, padded, units, .. } = self.input;
        let rows = Rows { data: step.h, stride: padded, active: step.active };
        let mut stored = Stored {
            start: step.x,
            start_stride: step.x_stride,
            out: &mut *step.next,
            out_stride: padded,
            panel_stride: PLAIN_VECTORS * S::LANES,
            vector_stride: S::LANES,
        };
        product::<S, Stored<'_>, PLAIN_VECTORS>(simd, rows, self.recurrent.view(), &mut stored);
        for row in (0..step.active.len()).filter(|&row| step.active[row]) {
            step.activation.apply_rows(isa, &mut step.next[row * padded..][..units], units);
        }
    }
}
