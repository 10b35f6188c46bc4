//! Training of the GRU layer; see [`recurrent::training`](crate::recurrent::training).
//!
//! With the gradient dh of a step's state, and `p = h Rh + b'h`, with which the candidate is reset
//! after its product:
//! ```text
//! dz = dh (h - g)     dg = dh (1 - z)     s = φ'(g) dg
//! dr = s p            dp = s r                            reset_after
//! dr = (s Rhᵀ) h                                          not reset_after
//! d(x W + b) = [σ'(z) dz, σ'(r) dr, s]
//! dh = dh z + σ'(z) dz Rzᵀ + σ'(r) dr Rrᵀ + dp Rhᵀ        reset_after
//! dh = dh z + σ'(z) dz Rzᵀ + σ'(r) dr Rrᵀ + r (s Rhᵀ)     not reset_after
//! ```

use crate::Cpu;
use crate::activation::math;
use crate::isa::{Isa, Simd};
use crate::recurrent::training::{
    self, BackwardRow, ForwardRow, Reset, StepsBackward, StepsCall, StepsCell, chunks, put, take,
    with_lanes,
};

#[derive(Clone, Copy)]
struct Gru {
    reset_after: bool,
}

impl StepsCell for Gru {
    const GATES: usize = 3;
    const CELL_STATE: bool = false;

    #[inline(always)]
    fn reset(self) -> Reset {
        if self.reset_after { Reset::After } else { Reset::Before }
    }

    #[inline(always)]
    fn forward_row<S: Simd>(self, row: ForwardRow<'_>) {
        if self.reset_after && row.activations.are_default() {
            return with_lanes!(S, forward_default(row));
        }
        let ForwardRow { activations, units, x, sums, h, next, gates, inner, .. } = row;
        let padded = h.len();
        let (z, sums) = sums.split_at_mut(padded);
        let (r, g) = sums.split_at_mut(padded);
        let (kept_z, kept) = gates.split_at_mut(units);
        let (kept_r, kept_g) = kept.split_at_mut(units);
        activations.apply_and_keep::<S>(activations.gate, z, kept_z);
        if self.reset_after {
            activations.apply_and_keep::<S>(activations.gate, r, kept_r);
            inner.copy_from_slice(&g[..units]);
            let x = &x[2 * units..];
            chunks!(S, units, |at, count| {
                let (r, x) = (&r[at..][..count], &x[at..][..count]);
                let g = &mut g[at..][..count];
                for lane in 0..count {
                    g[lane] = S::fma(r[lane], g[lane], x[lane]);
                }
            });
        }
        activations.apply_and_keep::<S>(activations.candidate, g, kept_g);
        chunks!(S, padded, |at, count| {
            let (z, g, h) = (&z[at..][..count], &g[at..][..count], &h[at..][..count]);
            let next = &mut next[at..][..count];
            for lane in 0..count {
                next[lane] = S::fma(z[lane], h[lane], (1.0 - z[lane]) * g[lane]);
            }
        });
    }

    #[inline(always)]
    fn backward_row<S: Simd>(self, row: BackwardRow<'_>) {
        if self.reset_after && row.activations.are_default() {
            return with_lanes!(S, backward_default(row));
        }
        let BackwardRow { activations, units, gates, h, second: inner, dh, .. } = row;
        let (gate, candidate) = (activations.gate, activations.candidate);
        let mut memory = row.memory.chunks_exact_mut(dh.len().max(1));
        let mut next = || memory.next().unwrap_or_default();
        let (kept_z, kept) = gates.split_at(units);
        let (kept_r, kept_g) = kept.split_at(units);
        let z = activations.values::<S>(gate, kept_z, next());
        let g = activations.values::<S>(candidate, kept_g, next());
        let (dz, dg, memory_r) = (next(), next(), next());
        let (dz, dg) = (&mut dz[..units], &mut dg[..units]);
        chunks!(S, units, |at, count| {
            let (z, g, h) = (&z[at..][..count], &g[at..][..count], &h[at..][..count]);
            let (dz, dg) = (&mut dz[at..][..count], &mut dg[at..][..count]);
            let dh = &mut dh[at..][..count];
            for lane in 0..count {
                dz[lane] = dh[lane] * (h[lane] - g[lane]);
                dg[lane] = dh[lane] * (1.0 - z[lane]);
                dh[lane] *= z[lane];
            }
        });
        let (d_z, d_sums) = row.d_sums.split_at_mut(units);
        let (d_r, d_g) = d_sums.split_at_mut(units);
        activations.gradient(gate, kept_z, z, dz, d_z);
        activations.gradient(candidate, kept_g, g, dg, d_g);
        if self.reset_after {
            let r = activations.values::<S>(gate, kept_r, memory_r);
            let dr = dz;
            for unit in 0..units {
                dr[unit] = d_g[unit] * inner[unit];
                row.d_inner[unit] = d_g[unit] * r[unit];
            }
            activations.gradient(gate, kept_r, r, dr, d_r);
        }
    }
}

/// The forward step with Keras's defaults, in one pass over the units.
#[inline(always)]
fn forward_default<S: Simd, const N: usize>(row: ForwardRow<'_>) {
    let ForwardRow { units, x, sums, h, next, gates, inner, .. } = row;
    let padded = h.len();
    let x = &x[2 * units..];
    for at in (0..padded).step_by(N) {
        let (mut z, mut r): ([f32; N], [f32; N]) = (take(sums, at), take(sums, padded + at));
        let product: [f32; N] = take(sums, 2 * padded + at);
        let (x, before): ([f32; N], [f32; N]) = (take(x, at), take(h, at));
        let (mut g, mut behind) = ([0.0; N], [0.0; N]);
        for lane in 0..N {
            z[lane] = math::sigmoid::<S>(z[lane]);
            r[lane] = math::sigmoid::<S>(r[lane]);
            g[lane] = math::tanh::<S>(S::fma(r[lane], product[lane], x[lane]));
            behind[lane] = S::fma(z[lane], before[lane], (1.0 - z[lane]) * g[lane]);
        }
        put(next, at, behind);
        put(inner, at, product);
        for (kept, values) in gates.chunks_exact_mut(units.max(1)).zip([z, r, g]) {
            put(kept, at, values);
        }
    }
}

/// The backward step with Keras's defaults, in one pass over the units.
#[inline(always)]
fn backward_default<S: Simd, const N: usize>(row: BackwardRow<'_>) {
    let BackwardRow { units, gates, h, second: inner, dh, d_sums, d_inner, .. } = row;
    let gate = |index: usize| &gates[index * units..][..units];
    let (kept_z, kept_r, kept_g) = (gate(0), gate(1), gate(2));
    for at in (0..units).step_by(N) {
        let (z, r): ([f32; N], [f32; N]) = (take(kept_z, at), take(kept_r, at));
        let (g, h): ([f32; N], [f32; N]) = (take(kept_g, at), take(h, at));
        let (p, dy): ([f32; N], [f32; N]) = (take(inner, at), take(dh, at));
        let (mut dz, mut dr, mut dg) = ([0.0; N], [0.0; N], [0.0; N]);
        let (mut dp, mut rest) = ([0.0; N], [0.0; N]);
        for lane in 0..N {
            let d = dy[lane] * (1.0 - z[lane]) * S::fma(-g[lane], g[lane], 1.0);
            dz[lane] = dy[lane] * (h[lane] - g[lane]) * (z[lane] * (1.0 - z[lane]));
            dr[lane] = d * p[lane] * (r[lane] * (1.0 - r[lane]));
            dg[lane] = d;
            dp[lane] = d * r[lane];
            rest[lane] = dy[lane] * z[lane];
        }
        put(dh, at, rest);
        put(d_inner, at, dp);
        for (d_sums, values) in d_sums.chunks_exact_mut(units).zip([dz, dr, dg]) {
            put(d_sums, at, values);
        }
    }
}

/// Values of [`StepsCall::saved`]: h before each step and, with `reset_after`, the candidate's
/// recurrent product.
pub fn saved_len(reset_after: bool, batch: usize, time: usize, units: usize) -> usize {
    training::saved_len(Gru { reset_after }, batch, time, units)
}

/// Values of [`StepsCall::workspace`] for `[batch, time, units]`, with `dropout` sets of factors
/// (0, 1 or 3).
pub fn workspace_len(reset_after: bool, isa: Isa, size: [usize; 3], dropout: usize) -> usize {
    training::workspace_len(Gru { reset_after }, isa, size, dropout)
}

/// Values of [`StepsBackward::workspace`], likewise; a call that does not ask for `d_products` needs
/// their size besides.
pub fn backward_workspace_len(
    reset_after: bool,
    isa: Isa,
    size: [usize; 3],
    dropout: usize,
) -> usize {
    training::backward_workspace_len(Gru { reset_after }, isa, size, dropout)
}

/// Computes all steps of one direction and keeps what [`backward`] needs.
///
/// Dropout factors of h act on its products only, not on the part of h that the update gate keeps.
///
/// # Panics
/// If a slice does not have the length that its shape says, there is a cell state, there is a
/// recurrent bias without `reset_after`, or an activation is GLU.
pub fn forward(cpu: Cpu<'_>, reset_after: bool, call: StepsCall<'_>) {
    training::forward(cpu, Gru { reset_after }, call);
}

/// Computes the gradients of what [`forward`] took.
///
/// # Panics
/// As [`forward`].
pub fn backward(cpu: Cpu<'_>, reset_after: bool, call: StepsBackward<'_>) {
    training::backward(cpu, Gru { reset_after }, call);
}
