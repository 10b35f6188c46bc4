//! Training of the LSTM layer; see [`recurrent::training`](crate::recurrent::training).
//!
//! With the gradients dh and dc of a step's states, and `q = φ(c')`:
//! ```text
//! do = dh q     dc' = dc + dh o φ'(c')     di = dc' g     df = dc' c     dg = dc' i
//! d(x W + b) = [σ'(i) di, σ'(f) df, φ'(g) dg, σ'(o) do]     dh = d(x W + b) Rᵀ     dc = dc' f
//! ```

use crate::Cpu;
use crate::activation::math;
use crate::isa::{Isa, Simd};
use crate::recurrent::training::{
    self, BackwardRow, ForwardRow, StepsBackward, StepsCall, StepsCell, chunks, put, take,
    with_lanes,
};

#[derive(Clone, Copy)]
struct Lstm;

impl StepsCell for Lstm {
    const GATES: usize = 4;
    const CELL_STATE: bool = true;

    #[inline(always)]
    fn forward_row<S: Simd>(self, row: ForwardRow<'_>) {
        if row.activations.are_default() {
            return with_lanes!(S, forward_default(row));
        }
        let ForwardRow { activations, units, sums, next, c, gates, .. } = row;
        let (gate, candidate) = (activations.gate, activations.candidate);
        let padded = c.len();
        for (index, activation) in [gate, gate, candidate, gate].into_iter().enumerate() {
            let sums = &mut sums[index * padded..][..padded];
            let kept = &mut gates[index * units..][..units];
            activations.apply_and_keep::<S>(activation, sums, kept);
        }
        let (i, sums) = sums.split_at(padded);
        let (f, sums) = sums.split_at(padded);
        let (g, o) = sums.split_at(padded);
        chunks!(S, padded, |at, count| {
            let (i, f, g) = (&i[at..][..count], &f[at..][..count], &g[at..][..count]);
            let (c, next) = (&mut c[at..][..count], &mut next[at..][..count]);
            for lane in 0..count {
                c[lane] = S::fma(f[lane], c[lane], i[lane] * g[lane]);
                next[lane] = c[lane];
            }
        });
        activations.apply::<S>(candidate, next, units);
        for (h, &o) in next.iter_mut().zip(o) {
            *h *= o;
        }
    }

    #[inline(always)]
    fn backward_row<S: Simd>(self, row: BackwardRow<'_>) {
        if row.activations.are_default() {
            return with_lanes!(S, backward_default(row));
        }
        let BackwardRow { activations, units, gates, second: c, dh, dc, d_sums, memory, .. } = row;
        let (gate, candidate) = (activations.gate, activations.candidate);
        let padded = dh.len();
        let mut memory = memory.chunks_exact_mut(padded.max(1));
        let mut next = || memory.next().unwrap_or_default();
        let mut kept = gates.chunks_exact(units.max(1));
        let mut kept = || kept.next().unwrap_or_default();
        let (kept_i, kept_f, kept_g, kept_o) = (kept(), kept(), kept(), kept());
        let i = activations.values::<S>(gate, kept_i, next());
        let f = activations.values::<S>(gate, kept_f, next());
        let g = activations.values::<S>(candidate, kept_g, next());
        let o = activations.values::<S>(gate, kept_o, next());
        let (behind, q, dy, dq) = (next(), next(), next(), next());
        chunks!(S, units, |at, count| {
            let (i, f, g) = (&i[at..][..count], &f[at..][..count], &g[at..][..count]);
            let (c, behind) = (&c[at..][..count], &mut behind[at..][..count]);
            let (dh, o) = (&dh[at..][..count], &o[at..][..count]);
            let (dy, q) = (&mut dy[at..][..count], &mut q[at..][..count]);
            for lane in 0..count {
                behind[lane] = S::fma(f[lane], c[lane], i[lane] * g[lane]);
                q[lane] = behind[lane];
                dy[lane] = dh[lane] * o[lane];
            }
        });
        activations.apply::<S>(candidate, q, units);
        let (behind, q, dq) = (&behind[..units], &q[..units], &mut dq[..units]);
        activations.gradient(candidate, behind, q, &dy[..units], dq);
        for (dc, &dq) in dc.iter_mut().zip(&*dq) {
            *dc += dq;
        }
        let mut d_sums = d_sums.chunks_exact_mut(units.max(1));
        let mut back = |activation, kept, value, factor: &[f32], dc: &[f32]| {
            for ((dy, &dc), &factor) in dy[..units].iter_mut().zip(dc).zip(factor) {
                *dy = dc * factor;
            }
            let d_sum = d_sums.next().unwrap_or_default();
            activations.gradient(activation, kept, value, &dy[..units], d_sum);
        };
        back(gate, kept_i, i, g, dc);
        back(gate, kept_f, f, c, dc);
        back(candidate, kept_g, g, i, dc);
        back(gate, kept_o, o, q, dh);
        for (dc, &f) in dc.iter_mut().zip(f) {
            *dc *= f;
        }
        dh.fill(0.0);
    }
}

/// The forward step with Keras's default activations, in one pass over the units.
#[inline(always)]
fn forward_default<S: Simd, const N: usize>(row: ForwardRow<'_>) {
    let ForwardRow { units, sums, next, c, gates, .. } = row;
    let padded = c.len();
    for at in (0..padded).step_by(N) {
        let mut i: [f32; N] = take(sums, at);
        let mut f: [f32; N] = take(sums, padded + at);
        let mut g: [f32; N] = take(sums, 2 * padded + at);
        let mut o: [f32; N] = take(sums, 3 * padded + at);
        let (mut cell, mut h): ([f32; N], [f32; N]) = (take(c, at), [0.0; N]);
        for lane in 0..N {
            i[lane] = math::sigmoid::<S>(i[lane]);
            f[lane] = math::sigmoid::<S>(f[lane]);
            g[lane] = math::tanh::<S>(g[lane]);
            o[lane] = math::sigmoid::<S>(o[lane]);
            cell[lane] = S::fma(f[lane], cell[lane], i[lane] * g[lane]);
            h[lane] = math::tanh::<S>(cell[lane]) * o[lane];
        }
        put(c, at, cell);
        put(next, at, h);
        for (kept, values) in gates.chunks_exact_mut(units.max(1)).zip([i, f, g, o]) {
            put(kept, at, values);
        }
    }
}

/// The backward step with Keras's default activations, in one pass over the units.
#[inline(always)]
fn backward_default<S: Simd, const N: usize>(row: BackwardRow<'_>) {
    let BackwardRow { units, gates, second, dh, dc, d_sums, .. } = row;
    let gate = |index: usize| &gates[index * units..][..units];
    let (kept_i, kept_f, kept_g, kept_o) = (gate(0), gate(1), gate(2), gate(3));
    for at in (0..units).step_by(N) {
        let (i, f): ([f32; N], [f32; N]) = (take(kept_i, at), take(kept_f, at));
        let (g, o): ([f32; N], [f32; N]) = (take(kept_g, at), take(kept_o, at));
        let (c, dy): ([f32; N], [f32; N]) = (take(second, at), take(dh, at));
        let mut d_cell: [f32; N] = take(dc, at);
        let (mut di, mut df, mut dg, mut d_o) = ([0.0; N], [0.0; N], [0.0; N], [0.0; N]);
        for lane in 0..N {
            let q = math::tanh::<S>(S::fma(f[lane], c[lane], i[lane] * g[lane]));
            let d = d_cell[lane] + dy[lane] * o[lane] * S::fma(-q, q, 1.0);
            di[lane] = d * g[lane] * (i[lane] * (1.0 - i[lane]));
            df[lane] = d * c[lane] * (f[lane] * (1.0 - f[lane]));
            dg[lane] = d * i[lane] * S::fma(-g[lane], g[lane], 1.0);
            d_o[lane] = dy[lane] * q * (o[lane] * (1.0 - o[lane]));
            d_cell[lane] = d * f[lane];
        }
        put(dc, at, d_cell);
        put(dh, at, [0.0; N]);
        for (d_sums, values) in d_sums.chunks_exact_mut(units).zip([di, df, dg, d_o]) {
            put(d_sums, at, values);
        }
    }
}

/// Values of [`StepsCall::saved`]: h and c before each step.
pub fn saved_len(batch: usize, time: usize, units: usize) -> usize {
    training::saved_len(Lstm, batch, time, units)
}

/// Values of [`StepsCall::workspace`] for `[batch, time, units]`, with `dropout` sets of factors
/// (0, 1 or 4).
pub fn workspace_len(isa: Isa, size: [usize; 3], dropout: usize) -> usize {
    training::workspace_len(Lstm, isa, size, dropout)
}

/// Values of [`StepsBackward::workspace`], likewise; a call that does not ask for `d_products` needs
/// their size besides.
pub fn backward_workspace_len(isa: Isa, size: [usize; 3], dropout: usize) -> usize {
    training::backward_workspace_len(Lstm, isa, size, dropout)
}

/// Computes all steps of one direction and keeps what [`backward`] needs.
///
/// # Panics
/// If a slice does not have the length that its shape says, or an activation is GLU.
pub fn forward(cpu: Cpu<'_>, call: StepsCall<'_>) {
    training::forward(cpu, Lstm, call);
}

/// Computes the gradients of what [`forward`] took.
///
/// # Panics
/// As [`forward`].
pub fn backward(cpu: Cpu<'_>, call: StepsBackward<'_>) {
    training::backward(cpu, Lstm, call);
}
