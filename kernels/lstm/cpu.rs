//! The LSTM cell: the four gates of a vector of units come out of one tile and are used up there.

use super::LstmWeights;
use crate::activation::{Activation, math};
use crate::isa::Simd;
use crate::recurrent::panels::{Rows, Stored, Tiles, product};
use crate::recurrent::{Cell, InputWeights, Step};

impl Cell for LstmWeights {
    const CELL_STATE: bool = true;

    fn input_weights(&self) -> &InputWeights {
        &self.input
    }

    fn scratch(&self) -> usize {
        self.input.columns
    }

    #[inline(always)]
    fn step<S: Simd>(&self, simd: S, step: Step<'_>) {
        let padded = self.input.padded;
        let rows = Rows { data: step.h, stride: padded, active: step.active };
        if (step.activation, step.recurrent_activation) == (Activation::Tanh, Activation::Sigmoid) {
            let Step { x, x_stride, next, c, .. } = step;
            let mut fused = Fused { x, x_stride, padded, next, c };
            product::<S, Fused<'_>, 4>(simd, rows, self.recurrent.view(), &mut fused);
        } else {
            let mut stored = Stored {
                start: step.x,
                start_stride: step.x_stride,
                out: step.scratch,
                out_stride: self.input.columns,
                panel_stride: S::LANES,
                vector_stride: padded,
            };
            product::<S, Stored<'_>, 4>(simd, rows, self.recurrent.view(), &mut stored);
            self.finish_rows(step);
        }
    }
}

impl LstmWeights {
    /// The gates by any activations, from sums in the scratch memory.
    fn finish_rows(&self, step: Step<'_>) {
        let InputWeights { isa, padded, columns, units, .. } = self.input;
        for row in (0..step.active.len()).filter(|&row| step.active[row]) {
            let mut gates = step.scratch[row * columns..][..columns].chunks_exact_mut(padded);
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
    fn start<S: Simd>(&self, row: usize, panel: usize, vector: usize) -> &[f32] {
        &self.x[row * self.x_stride + vector * self.padded + panel * S::LANES..]
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, row: usize, panel: usize, tile: &[f32]) {
        let at = row * self.padded + panel * S::LANES;
        let c = &mut self.c[at..][..S::LANES];
        let h = &mut self.next[at..][..S::LANES];
        let (i, tile) = tile.split_at(S::LANES);
        let (f, tile) = tile.split_at(S::LANES);
        let (g, o) = tile.split_at(S::LANES);
        let o = &o[..S::LANES];
        for lane in 0..S::LANES {
            let i = math::sigmoid::<S>(i[lane]);
            let f = math::sigmoid::<S>(f[lane]);
            let g = math::tanh::<S>(g[lane]);
            c[lane] = S::fma(f, c[lane], i * g);
            h[lane] = math::sigmoid::<S>(o[lane]) * math::tanh::<S>(c[lane]);
        }
    }
}
