//! The GRU cell. With the reset gate behind the product all gates of a vector of units come out of
//! one tile and are used up there; before the product it takes two products.

use super::{Form, GruWeights};
use crate::activation::{Activation, math};
use crate::isa::Simd;
use crate::recurrent::panels::{PLAIN_VECTORS, Panels, Rows, Stored, Tiles, product};
use crate::recurrent::{Cell, InputWeights, Step};

impl Cell for GruWeights {
    const CELL_STATE: bool = false;

    fn input_weights(&self) -> &InputWeights {
        &self.input
    }

    /// Three gates, and r h.
    fn scratch(&self) -> usize {
        self.input.columns + self.input.padded
    }

    #[inline(always)]
    fn step<S: Simd>(&self, simd: S, step: Step<'_>) {
        let padded = self.input.padded;
        let rows = Rows { data: step.h, stride: padded, active: step.active };
        match &self.form {
            Form::ResetAfter { recurrent, bias } => {
                let Step { x, x_stride, h, .. } = step;
                if (step.activation, step.recurrent_activation)
                    == (Activation::Tanh, Activation::Sigmoid)
                {
                    let next = step.next;
                    let mut fused = Fused { x, x_stride, padded, bias, h, next };
                    product::<S, Fused<'_>, 3>(simd, rows, recurrent.view(), &mut fused);
                } else {
                    let (out, stride) = (&mut *step.scratch, self.scratch());
                    let mut sums = Sums { x, x_stride, padded, bias, out, stride };
                    product::<S, Sums<'_>, 3>(simd, rows, recurrent.view(), &mut sums);
                    self.finish_after(step);
                }
            }
            Form::ResetBefore { gates, candidate } => {
                self.reset_before(simd, step, gates, candidate);
            }
        }
    }
}

impl GruWeights {
    /// The gates by any activations, from sums in the scratch memory, reset behind the product.
    fn finish_after(&self, step: Step<'_>) {
        let InputWeights { isa, padded, units, .. } = self.input;
        for row in (0..step.active.len()).filter(|&row| step.active[row]) {
            let scratch = &mut step.scratch[row * self.scratch()..][..self.scratch()];
            let (z, rest) = scratch.split_at_mut(padded);
            let (r, rest) = rest.split_at_mut(padded);
            let (z, r, g) = (&mut z[..units], &mut r[..units], &mut rest[..units]);
            step.recurrent_activation.apply_rows(isa, z, units);
            step.recurrent_activation.apply_rows(isa, r, units);
            let x = &step.x[row * step.x_stride + 2 * padded..][..units];
            for unit in 0..units {
                g[unit] = x[unit] + r[unit] * g[unit];
            }
            step.activation.apply_rows(isa, g, units);
            let h = &step.h[row * padded..][..units];
            blend(&mut step.next[row * padded..][..units], z, h, g);
        }
    }

    /// A step with the reset gate before the product.
    #[inline(always)]
    fn reset_before<S: Simd>(&self, simd: S, step: Step<'_>, gates: &Panels, candidate: &Panels) {
        let InputWeights { isa, padded, units, columns, .. } = self.input;
        let (stride, count) = (columns, step.active.len());
        let (sums, reset) =
            step.scratch.split_at_mut(step.scratch.len() / self.scratch() * columns);
        let mut stored = Stored {
            start: step.x,
            start_stride: step.x_stride,
            out: &mut *sums,
            out_stride: stride,
            panel_stride: S::LANES,
            vector_stride: padded,
        };
        let rows = Rows { data: step.h, stride: padded, active: step.active };
        product::<S, Stored<'_>, 2>(simd, rows, gates.view(), &mut stored);
        for row in (0..count).filter(|&row| step.active[row]) {
            let (z, r) = sums[row * stride..].split_at_mut(padded);
            step.recurrent_activation.apply_rows(isa, &mut z[..units], units);
            let r = &mut r[..units];
            step.recurrent_activation.apply_rows(isa, r, units);
            let h = &step.h[row * padded..][..units];
            for ((reset, &r), &h) in reset[row * padded..][..units].iter_mut().zip(&*r).zip(h) {
                *reset = r * h;
            }
        }
        let mut stored = Stored {
            start: &step.x[2 * padded..],
            start_stride: step.x_stride,
            out: &mut sums[2 * padded..],
            out_stride: stride,
            panel_stride: PLAIN_VECTORS * S::LANES,
            vector_stride: S::LANES,
        };
        let rows = Rows { data: reset, stride: padded, active: step.active };
        product::<S, Stored<'_>, PLAIN_VECTORS>(simd, rows, candidate.view(), &mut stored);
        for row in (0..count).filter(|&row| step.active[row]) {
            let (z, rest) = sums[row * stride..].split_at_mut(padded);
            let g = &mut rest[padded..][..units];
            step.activation.apply_rows(isa, g, units);
            let h = &step.h[row * padded..][..units];
            blend(&mut step.next[row * padded..][..units], &z[..units], h, g);
        }
    }
}

/// z h + (1 - z) g.
#[inline(always)]
fn blend(next: &mut [f32], z: &[f32], h: &[f32], g: &[f32]) {
    for (((next, &z), &h), &g) in next.iter_mut().zip(z).zip(h).zip(g) {
        *next = z * h + (1.0 - z) * g;
    }
}

/// Where a tile's sums start: the input's products for z and r, the recurrent bias for the
/// candidate, whose input must stay outside the reset gate.
#[inline(always)]
fn start<'a>(row: &'a [f32], bias: &'a [f32], padded: usize, at: usize, gate: usize) -> &'a [f32] {
    if gate == 2 { &bias[at..] } else { &row[gate * padded + at..] }
}

/// Keras's default activations, on the hot tile.
struct Fused<'a> {
    x: &'a [f32],
    x_stride: usize,
    padded: usize,
    bias: &'a [f32],
    h: &'a [f32],
    next: &'a mut [f32],
}

impl Tiles for Fused<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, row: usize, panel: usize, gate: usize) -> &[f32] {
        let row = &self.x[row * self.x_stride..];
        start(row, self.bias, self.padded, panel * S::LANES, gate)
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, row: usize, panel: usize, tile: &[f32]) {
        let x = &self.x[row * self.x_stride + 2 * self.padded + panel * S::LANES..][..S::LANES];
        let at = row * self.padded + panel * S::LANES;
        let h = &self.h[at..][..S::LANES];
        let next = &mut self.next[at..][..S::LANES];
        let (z, tile) = tile.split_at(S::LANES);
        let (r, g) = tile.split_at(S::LANES);
        let g = &g[..S::LANES];
        for lane in 0..S::LANES {
            let z = math::sigmoid::<S>(z[lane]);
            let r = math::sigmoid::<S>(r[lane]);
            let g = math::tanh::<S>(S::fma(r, g[lane], x[lane]));
            next[lane] = S::fma(z, h[lane], (1.0 - z) * g);
        }
    }
}

/// The sums of the gates, stored gate after gate.
struct Sums<'a> {
    x: &'a [f32],
    x_stride: usize,
    padded: usize,
    bias: &'a [f32],
    out: &'a mut [f32],
    stride: usize,
}

impl Tiles for Sums<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, row: usize, panel: usize, gate: usize) -> &[f32] {
        let row = &self.x[row * self.x_stride..];
        start(row, self.bias, self.padded, panel * S::LANES, gate)
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, row: usize, panel: usize, tile: &[f32]) {
        for (gate, values) in tile.chunks_exact(S::LANES).enumerate() {
            let at = row * self.stride + gate * self.padded + panel * S::LANES;
            self.out[at..][..S::LANES].copy_from_slice(values);
        }
    }
}
