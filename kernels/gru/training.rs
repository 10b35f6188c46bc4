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
use crate::isa::{Isa, Simd};
use crate::recurrent::training::derivative::derivative;
use crate::recurrent::training::{
    self, BackwardRow, ForwardRow, Reset, StepsBackward, StepsCall, StepsCell, chunks,
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
        derivative::<S>(gate, kept_z, z, dz, d_z);
        derivative::<S>(candidate, kept_g, g, dg, d_g);
        if self.reset_after {
            let r = activations.values::<S>(gate, kept_r, memory_r);
            let dr = dz;
            for unit in 0..units {
                dr[unit] = d_g[unit] * inner[unit];
                row.d_inner[unit] = d_g[unit] * r[unit];
            }
            derivative::<S>(gate, kept_r, r, dr, d_r);
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
