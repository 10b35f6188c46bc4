//! The simple cell: a product and its activation, on the hot tile if that is the hyperbolic
//! tangent, else row by row.

use super::SimpleRnnWeights;
use crate::activation::{Activation, math};
use crate::isa::Simd;
use crate::recurrent::panels::{Rows, Stored, Tiles, copy_vectors, products};
use crate::recurrent::{Cell, InputWeights, Step};

impl Cell for SimpleRnnWeights {
    const CELL_STATE: bool = false;
    const ADDS_INPUT: bool = true;

    fn input(&self) -> &InputWeights {
        &self.input
    }

    /// Values of memory for each row: none.
    fn scratch(&self) -> usize {
        0
    }

    fn splits(&self, activation: Activation, _: Activation) -> bool {
        activation == Activation::Tanh
    }

    #[inline(always)]
    fn step<S: Simd>(&self, simd: S, step: Step<'_>) {
        let InputWeights { isa, padded, units, .. } = self.input;
        let rows = Rows { data: step.h, stride: padded, active: step.active };
        let panels = self.recurrent.view(step.panels.clone()).turned(step.backward);
        let width = self.recurrent.width();
        let kernel = self.input.kernel.view(step.panels.clone());
        let before = step.input.as_ref().map(|rows| (rows, kernel));
        let Step { x, x_stride, next, .. } = step;
        if step.activation == Activation::Tanh {
            let mut fused = Fused { x, x_stride, padded, width, next };
            return products(simd, before, (&rows, panels), &mut fused);
        }
        let mut stored = Stored {
            start: x,
            start_stride: x_stride,
            start_steps: (width, S::LANES),
            out: &mut *next,
            out_stride: padded,
            out_steps: (width, S::LANES),
        };
        products(simd, before, (&rows, panels), &mut stored);
        for row in (0..step.active.len()).filter(|&row| step.active[row]) {
            step.activation.apply_rows(isa, &mut next[row * padded..][..units], units);
        }
    }
}

/// Keras's default activation.
struct Fused<'a> {
    x: &'a [f32],
    x_stride: usize,
    padded: usize,
    /// Units of a panel.
    width: usize,
    next: &'a mut [f32],
}

impl Tiles for Fused<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, simd: S, row: usize, panel: usize, tile: &mut [f32]) {
        copy_vectors(simd, tile, &self.x[row * self.x_stride + panel * self.width..]);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        let at = row * self.padded + panel * self.width;
        for (vector, tile) in tile.chunks_exact(S::LANES).enumerate() {
            let next = &mut self.next[at + vector * S::LANES..][..S::LANES];
            for lane in 0..S::LANES {
                next[lane] = math::tanh::<S>(tile[lane]);
            }
        }
    }
}
