//! The fast form: the moments in two passes, so that a large mean costs no digits.

use super::{Form, LayerNormCall};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut, lanes};

/// Elements that one block works on, roughly.
const BLOCK: usize = 8 * 1024;

/// Writes the normalised rows to `out`, `[rows, features]`.
///
/// # Panics
/// If a length does not fit, or `beta` is given for another form than [`Form::Standard`].
pub fn forward(cpu: Cpu, call: LayerNormCall, out: &mut [f32]) {
    let LayerNormCall { x, gamma, beta, features, form, .. } = call;
    assert_eq!(out.len(), x.len(), "layer_norm: the output's length");
    assert!(x.is_empty() || (features > 0 && x.len() % features == 0), "layer_norm: whole rows");
    assert!(gamma.is_none_or(|gamma| gamma.len() == features), "layer_norm: gamma's length");
    assert!(beta.is_none_or(|beta| beta.len() == features), "layer_norm: beta's length");
    assert!(beta.is_none() || form == Form::Standard, "layer_norm: {form:?} takes no beta");
    if x.is_empty() {
        return;
    }
    let rows = x.len() / features;
    let group = (BLOCK / features).max(1);
    let parts = DisjointMut::new(out);
    cpu.pool.for_each(rows.div_ceil(group), &|block| {
        let range = block * group * features..rows.min((block + 1) * group) * features;
        // SAFETY: blocks write disjoint rows.
        let out = unsafe { parts.slice(range.clone()) };
        cpu.isa.run(Rows { call: LayerNormCall { x: &x[range], ..call }, out });
    });
}

struct Rows<'a> {
    call: LayerNormCall<'a>,
    out: &'a mut [f32],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        // Short rows whose length the compiler knows have no loops.
        match self.call.features {
            16 => self.rows::<S, 16>(),
            32 => self.rows::<S, 32>(),
            64 => self.rows::<S, 64>(),
            128 => self.rows::<S, 128>(),
            _ => self.rows::<S, 0>(),
        }
    }
}

impl Rows<'_> {
    /// Rows of `FEATURES` values, or of as many as the call says if that is 0.
    #[inline(always)]
    fn rows<S: Simd, const FEATURES: usize>(self) {
        let LayerNormCall { x, gamma, beta, features, epsilon, form } = self.call;
        let features = if FEATURES > 0 { FEATURES } else { features };
        let count = features as f32;
        let (gamma, beta) = (gamma.map(|g| &g[..features]), beta.map(|b| &b[..features]));
        // A few rows at a time: sums across a row wait for each other, those of rows do not, and
        // the roots become one vector's.
        let group = if features <= NARROW { GROUP } else { 1 };
        for (x, out) in x.chunks(group * features).zip(self.out.chunks_mut(group * features)) {
            let (mut means, mut scales) = ([0.0; GROUP], [0.0; GROUP]);
            if form != Form::RootMeanSquare {
                for (mean, row) in means.iter_mut().zip(x.chunks_exact(features)) {
                    *mean = lanes::sum_by(row, |v| v) / count;
                }
            }
            let rows = x.chunks_exact(features);
            for ((scale, &mean), row) in scales.iter_mut().zip(&means).zip(rows) {
                *scale = lanes::sum_by(row, |v| (v - mean) * (v - mean));
            }
            for scale in &mut scales {
                *scale = 1.0 / (*scale / count + epsilon).sqrt();
            }
            let rows = x.chunks_exact(features).zip(out.chunks_exact_mut(features));
            for ((row, out), (&mean, &scale)) in rows.zip(means.iter().zip(&scales)) {
                let shift = if form == Form::Standard { mean } else { 0.0 };
                normalise::<S>((row, shift, scale), gamma, beta, out);
            }
        }
    }
}

/// Rows that are worked on together, if they have at most [`NARROW`] features.
const GROUP: usize = 16;
const NARROW: usize = 256;

/// Writes `(x − shift) · scale · gamma + beta` for one row.
#[inline(always)]
fn normalise<S: Simd>(
    (row, shift, scale): (&[f32], f32, f32),
    gamma: Option<&[f32]>,
    beta: Option<&[f32]>,
    out: &mut [f32],
) {
    for (out, &value) in out.iter_mut().zip(row) {
        *out = (value - shift) * scale;
    }
    match (gamma, beta) {
        (Some(gamma), Some(beta)) => {
            for ((out, &gamma), &beta) in out.iter_mut().zip(gamma).zip(beta) {
                *out = S::fma(*out, gamma, beta);
            }
        }
        (Some(gamma), None) => out.iter_mut().zip(gamma).for_each(|(out, &gamma)| *out *= gamma),
        (None, Some(beta)) => out.iter_mut().zip(beta).for_each(|(out, &beta)| *out += beta),
        (None, None) => {}
    }
}
