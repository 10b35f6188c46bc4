//! The GRU cell. With the reset gate behind the product all gates of a vector of units come out of
//! one tile and are used up there; before the product it takes two products.

use super::{Form, GruWeights};
use crate::activation::Activation;
use crate::isa::Simd;
use crate::recurrent::panels::{Panels, Rows, Stored, Tiles, copy_vectors, product};
use crate::recurrent::{Cell, InputWeights, Step, gates};

impl Cell for GruWeights {
    const CELL_STATE: bool = false;
    const ADDS_INPUT: bool = false;

    fn input(&self) -> &InputWeights {
        &self.input
    }

    /// Three gates, and r h.
    fn scratch(&self) -> usize {
        4 * self.input.padded
    }

    fn splits(&self, activation: Activation, recurrent_activation: Activation) -> bool {
        // Before the product, the reset gate of all units must be there.
        matches!(self.form, Form::ResetAfter { .. })
            && are_default(activation, recurrent_activation)
    }

    #[inline(always)]
    fn step<S: Simd>(&self, simd: S, step: Step<'_>) {
        let padded = self.input.padded;
        let default = are_default(step.activation, step.recurrent_activation);
        match &self.form {
            Form::ResetAfter { recurrent, bias } => {
                let rows = Rows { data: step.h, stride: padded, active: step.active };
                let panels = recurrent.view(step.panels.clone()).turned(step.backward);
                let bias = &bias[step.panels.start * S::LANES..];
                let start = Start { x: step.x, x_stride: step.x_stride, bias };
                if default {
                    let mut fused = Fused { start, padded, h: step.own_h, next: step.next };
                    product(simd, &rows, panels, &mut fused);
                } else {
                    let (out, stride) = (&mut *step.scratch, self.scratch());
                    let mut sums = Sums { start, padded, out, stride };
                    product(simd, &rows, panels, &mut sums);
                    self.finish_after(step);
                }
            }
            Form::ResetBefore { gates, candidate } if default => {
                self.reset_before_default(simd, step, gates, candidate);
            }
            Form::ResetBefore { gates, candidate } => {
                self.reset_before(simd, step, gates, candidate);
            }
        }
    }
}

/// Whether the activations are Keras's defaults.
fn are_default(activation: Activation, recurrent_activation: Activation) -> bool {
    (activation, recurrent_activation) == (Activation::Tanh, Activation::Sigmoid)
}

impl GruWeights {
    /// The gates by any activations, from sums in the scratch memory, reset behind the product.
    fn finish_after(&self, step: Step<'_>) {
        let InputWeights { isa, padded, units, .. } = self.input;
        let lanes = isa.lanes();
        for row in (0..step.active.len()).filter(|&row| step.active[row]) {
            let scratch = &mut step.scratch[row * self.scratch()..][..self.scratch()];
            let (z, rest) = scratch.split_at_mut(padded);
            let (r, rest) = rest.split_at_mut(padded);
            let (z, r, g) = (&mut z[..units], &mut r[..units], &mut rest[..units]);
            step.recurrent_activation.apply_rows(isa, z, units);
            step.recurrent_activation.apply_rows(isa, r, units);
            let x = &step.x[row * step.x_stride..];
            for unit in 0..units {
                let x = x[(3 * (unit / lanes) + 2) * lanes + unit % lanes];
                g[unit] = x + r[unit] * g[unit];
            }
            step.activation.apply_rows(isa, g, units);
            let h = &step.h[row * padded..][..units];
            blend(&mut step.next[row * padded..][..units], z, h, g);
        }
    }

    /// A step with the reset gate before the product and Keras's default activations.
    #[inline(always)]
    fn reset_before_default<S: Simd>(
        &self,
        simd: S,
        step: Step<'_>,
        gates: &Panels,
        candidate: &Panels,
    ) {
        let padded = self.input.padded;
        let Step { x, x_stride, h, next, active, backward, .. } = step;
        let (z, reset) = step.scratch.split_at_mut(active.len() * padded);
        let rows = Rows { data: h, stride: padded, active };
        let mut reset_tiles = Reset { x, x_stride, padded, h, z: &mut *z, reset: &mut *reset };
        let panels = gates.view(0..gates.count()).turned(backward);
        product(simd, &rows, panels, &mut reset_tiles);
        let rows = Rows { data: reset, stride: padded, active };
        let width = candidate.width();
        let mut blended = Blended { x, x_stride, padded, width, z, h, next };
        let panels = candidate.view(0..candidate.count()).turned(backward);
        product(simd, &rows, panels, &mut blended);
    }

    /// A step with the reset gate before the product.
    #[inline(always)]
    fn reset_before<S: Simd>(&self, simd: S, step: Step<'_>, gates: &Panels, candidate: &Panels) {
        let InputWeights { isa, padded, units, .. } = self.input;
        let (stride, count) = (3 * padded, step.active.len());
        let (sums, reset) = step.scratch.split_at_mut(count * stride);
        let mut stored = Stored {
            start: step.x,
            start_stride: step.x_stride,
            start_steps: (3 * S::LANES, S::LANES),
            out: &mut *sums,
            out_stride: stride,
            out_steps: (S::LANES, padded),
        };
        let rows = Rows { data: step.h, stride: padded, active: step.active };
        product(simd, &rows, gates.view(0..gates.count()), &mut stored);
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
        let width = candidate.width();
        let mut stored = Stored {
            start: &step.x[2 * S::LANES..],
            start_stride: step.x_stride,
            start_steps: (3 * width, 3 * S::LANES),
            out: &mut sums[2 * padded..],
            out_stride: stride,
            out_steps: (width, S::LANES),
        };
        let rows = Rows { data: reset, stride: padded, active: step.active };
        product(simd, &rows, candidate.view(0..candidate.count()), &mut stored);
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
struct Start<'a> {
    x: &'a [f32],
    x_stride: usize,
    bias: &'a [f32],
}

impl Start<'_> {
    #[inline(always)]
    fn write<S: Simd>(&self, simd: S, row: usize, panel: usize, tile: &mut [f32]) {
        let (gates, candidate) = tile.split_at_mut(2 * S::LANES);
        copy_vectors(simd, gates, self.x::<S>(row, panel, 0));
        copy_vectors(simd, candidate, &self.bias[panel * S::LANES..]);
    }

    #[inline(always)]
    fn x<S: Simd>(&self, row: usize, panel: usize, gate: usize) -> &[f32] {
        &self.x[row * self.x_stride + (3 * panel + gate) * S::LANES..]
    }
}

/// Keras's default activations, on the hot tile.
struct Fused<'a> {
    start: Start<'a>,
    padded: usize,
    h: &'a [f32],
    next: &'a mut [f32],
}

impl Tiles for Fused<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, simd: S, row: usize, panel: usize, tile: &mut [f32]) {
        self.start.write(simd, row, panel, tile);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        let x = &self.start.x::<S>(row, panel, 2)[..S::LANES];
        let (r, g) = tile[S::LANES..].split_at_mut(S::LANES);
        let g = &mut g[..S::LANES];
        for lane in 0..S::LANES {
            g[lane] = x[lane] + gates::gated::<S>(r[lane], g[lane]);
        }
    }

    const COMPLETES: bool = true;

    #[inline(always)]
    fn complete<S: Simd>(&mut self, row: usize, panel: usize, tile: &[f32]) {
        let at = row * self.padded + panel * S::LANES;
        let h = &self.h[at..][..S::LANES];
        let next = &mut self.next[at..][..S::LANES];
        let (z, candidate) = (&tile[..S::LANES], &tile[2 * S::LANES..][..S::LANES]);
        for lane in 0..S::LANES {
            next[lane] = gates::blend::<S>(z[lane], candidate[lane], h[lane]);
        }
    }
}

/// The sums of the gates, stored gate after gate.
struct Sums<'a> {
    start: Start<'a>,
    padded: usize,
    out: &'a mut [f32],
    stride: usize,
}

impl Tiles for Sums<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, simd: S, row: usize, panel: usize, tile: &mut [f32]) {
        self.start.write(simd, row, panel, tile);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        for (gate, values) in tile.chunks_exact(S::LANES).enumerate() {
            let at = row * self.stride + gate * self.padded + panel * S::LANES;
            self.out[at..][..S::LANES].copy_from_slice(values);
        }
    }
}

/// The first product with the reset gate before the second: keeps the sums of z, and r h.
struct Reset<'a> {
    x: &'a [f32],
    x_stride: usize,
    padded: usize,
    h: &'a [f32],
    z: &'a mut [f32],
    reset: &'a mut [f32],
}

impl Tiles for Reset<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, simd: S, row: usize, panel: usize, tile: &mut [f32]) {
        copy_vectors(simd, tile, &self.x[row * self.x_stride + 3 * panel * S::LANES..]);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        let at = row * self.padded + panel * S::LANES;
        let h = &self.h[at..][..S::LANES];
        let reset = &mut self.reset[at..][..S::LANES];
        let (z, r) = tile.split_at(S::LANES);
        self.z[at..][..S::LANES].copy_from_slice(z);
        let r = &r[..S::LANES];
        for lane in 0..S::LANES {
            reset[lane] = gates::gated::<S>(r[lane], h[lane]);
        }
    }
}

/// The second product: the candidate, and the next h.
struct Blended<'a> {
    x: &'a [f32],
    x_stride: usize,
    padded: usize,
    /// Units of a panel.
    width: usize,
    z: &'a [f32],
    h: &'a [f32],
    next: &'a mut [f32],
}

impl Tiles for Blended<'_> {
    #[inline(always)]
    fn start<S: Simd>(&self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        for (vector, tile) in tile.chunks_exact_mut(S::LANES).enumerate() {
            let unit = panel * self.width + vector * S::LANES;
            let x = &self.x[row * self.x_stride + 3 * unit + 2 * S::LANES..];
            tile.copy_from_slice(&x[..S::LANES]);
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, row: usize, panel: usize, tile: &mut [f32]) {
        let at = row * self.padded + panel * self.width;
        for (vector, tile) in tile.chunks_exact(S::LANES).enumerate() {
            let at = at + vector * S::LANES;
            let (z, h) = (&self.z[at..][..S::LANES], &self.h[at..][..S::LANES]);
            let next = &mut self.next[at..][..S::LANES];
            for lane in 0..S::LANES {
                next[lane] = gates::blend::<S>(z[lane], tile[lane], h[lane]);
            }
        }
    }
}
