//! The LSTM cell: the four gates of a vector of units come out of one tile and are used up there.

use super::LstmWeights;
use crate::activation::Activation;
use crate::isa::Simd;
use crate::recurrent::panels::{Rows, Stored, Tiles, copy_vectors, products};
use crate::recurrent::{Cell, InputWeights, Step, gates};

impl Cell for LstmWeights {
    const CELL_STATE: bool = true;
    const ADDS_INPUT: bool = true;

    fn input(&self) -> &InputWeights {
        &self.input
    }

    /// The four gates.
    fn scratch(&self) -> usize {
        self.input.columns()
    }

    fn splits(&self, activation: Activation, recurrent_activation: Activation) -> bool {
        (activation, recurrent_activation) == (Activation::Tanh, Activation::Sigmoid)
    }

    #[inline(always)]
    fn step<S: Simd>(&self, simd: S, step: Step<'_>) {
        let padded = self.input.padded;
        let rows = Rows { data: step.h, stride: padded, active: step.active };
        let panels = self.recurrent.view(step.panels.clone()).turned(step.backward);
        let kernel = self.input.kernel.view(step.panels.clone());
        let before = step.input.as_ref().map(|rows| (rows, kernel));
        if self.splits(step.activation, step.recurrent_activation) {
            let Step { x, x_stride, next, c, .. } = step;
            let mut fused = Fused { x, x_stride, padded, next, c };
            products(simd, before, (&rows, panels), &mut fused);
        } else {
            let mut stored = Stored {
                start: step.x,
                start_stride: step.x_stride,
                start_steps: (4 * S::LANES, S::LANES),
                out: step.scratch,
                out_stride: self.scratch(),
                out_steps: (S::LANES, padded),
            };
            products(simd, before, (&rows, panels), &mut stored);
            self.finish_rows(step);
        }
    }
}

impl LstmWeights {
    /// The gates by any activations, from sums in the scratch memory.
    fn finish_rows(&self, step: Step<'_>) {
        let InputWeights { isa, padded, units, .. } = self.input;
        for row in (0..step.active.len()).filter(|&row| step.active[row]) {
            let mut gates = step.scratch[row * 4 * padded..][..4 * padded].chunks_exact_mut(padded);
            let mut gate = |activation: Activation| {
                let gate = &mut gates.next().unwrap_or_default()[..units];
                activation.apply_rows(isa, gate, units);
                &*gate
            };
            let i = gate(step.recurrent_activation);
            let f = gate(step.recurrent_activation);
            let g = gate(step.activation);
            let o = gate(step.recurrent_activation);
            let c = &mut step.c[row * padded..][..units];
            let h = &mut step.next[row * padded..][..units];
            for unit in 0..units {
                c[unit] = f[unit] * c[unit] + i[unit] * g[unit];
            }
            h.copy_from_slice(c);
            step.activation.apply_rows(isa, h, units);
            for unit in 0..units {
                h[unit] *= o[unit];
            }
        }
    }
}

/// Keras's default activations, on the hot tile.
struct Fused<'a> {
    x: &'a [f32],
    x_stride: usize,
    padded: usize,
    next: &'a mut [f32],
    c: &'a mut [f32],
}

impl Tiles for Fused<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, simd: S, row: usize, panel: usize, tile: &mut [f32]) {
        copy_vectors(simd, tile, &self.x[row * self.x_stride + panel * tile.len()..]);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        let at = row * self.padded + panel * S::LANES;
        let c = &mut self.c[at..][..S::LANES];
        let (i, tile) = tile.split_at(S::LANES);
        let (f, tile) = tile.split_at(S::LANES);
        let g = &tile[..S::LANES];
        for lane in 0..S::LANES {
            c[lane] = gates::lstm_c::<S>([i[lane], f[lane], g[lane]], c[lane]);
        }
    }

    const COMPLETES: bool = true;

    #[inline(always)]
    fn complete<S: Simd>(&mut self, row: usize, panel: usize, tile: &[f32]) {
        let at = row * self.padded + panel * S::LANES;
        let c = &self.c[at..][..S::LANES];
        let h = &mut self.next[at..][..S::LANES];
        let o = &tile[3 * S::LANES..][..S::LANES];
        for lane in 0..S::LANES {
            h[lane] = gates::lstm_h::<S>(o[lane], c[lane]);
        }
    }
}
