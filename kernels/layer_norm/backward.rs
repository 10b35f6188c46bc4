//! The gradients of layer normalization. The moments are computed again: they cost two passes over
//! rows that lie in the cache, less than reading rows that were kept beside them.

use super::{Form, LayerNormCall, LayerNormGradients};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut, lanes};

/// Elements that one block works on, roughly.
const BLOCK: usize = 32 * 1024;
/// A block has at least so many rows, so that its sums take little memory.
const FEWEST_ROWS: usize = 16;
/// Features of one block of the last sums.
const STRIP: usize = 256;

/// Rows of a block.
fn group(features: usize) -> usize {
    (BLOCK / features.max(1)).max(FEWEST_ROWS)
}

/// How many values of workspace [`backward`] needs for `[rows, features]`: two sums of each block.
pub fn workspace_len(rows: usize, features: usize) -> usize {
    2 * features * rows.div_ceil(group(features))
}

/// Writes the gradients of x, gamma and beta that are asked for, from that of the result.
///
/// With x̂ the normalised value, r the factor that normalises it and g = γ dy:
/// [`Form::Standard`] `dx = r (g - mean(g) - x̂ mean(g x̂))`, [`Form::RootMeanSquare`]
/// `dx = r (g - x̂ mean(g x̂))`, [`Form::VarianceScaling`]
/// `dx = r (g - (x - mean(x)) r mean(g x̂))`; `dγ = Σ dy x̂` and `dβ = Σ dy` over the rows.
///
/// # Panics
/// If a length does not fit.
pub fn backward(
    cpu: Cpu,
    call: LayerNormCall,
    dy: &[f32],
    gradients: LayerNormGradients,
    workspace: &mut [f32],
) {
    let LayerNormCall { x, gamma, features, .. } = call;
    let LayerNormGradients { dx, dgamma, dbeta } = gradients;
    assert!(x.is_empty() || (features > 0 && x.len() % features == 0), "layer_norm: whole rows");
    assert_eq!(dy.len(), x.len(), "layer_norm: the gradient's length");
    assert!(gamma.is_none_or(|gamma| gamma.len() == features), "layer_norm: gamma's length");
    for (slice, len) in [(&dx, x.len()), (&dgamma, features), (&dbeta, features)] {
        assert!(slice.as_ref().is_none_or(|s| s.len() == len), "layer_norm: a gradient's length");
    }
    let rows = x.len().checked_div(features).unwrap_or(0);
    let (group, blocks) = (group(features), rows.div_ceil(group(features)));
    assert!(workspace.len() >= workspace_len(rows, features), "layer_norm: the workspace");
    let sums = &mut workspace[..workspace_len(rows, features)];
    let wanted = [dgamma.is_some(), dbeta.is_some()];
    {
        let sums = DisjointMut::new(&mut *sums);
        let dx = dx.map(DisjointMut::new);
        cpu.pool.for_each(blocks, &|block| {
            let range = block * group * features..rows.min((block + 1) * group) * features;
            // SAFETY: blocks write disjoint rows, and each has sums of its own.
            let dx = dx.map(|dx| unsafe { dx.slice(range.clone()) });
            // SAFETY: as above.
            let sums = unsafe { sums.slice(2 * block * features..2 * (block + 1) * features) };
            let call = LayerNormCall { x: &x[range.clone()], ..call };
            cpu.isa.run(Rows { call, dy: &dy[range], dx, sums, wanted });
        });
    }
    for (which, out) in [dgamma, dbeta].into_iter().enumerate() {
        let Some(out) = out else { continue };
        cpu.pool.for_each_chunk(out, STRIP, &|strip, out| {
            out.fill(0.0);
            for line in sums.chunks_exact(2 * features) {
                let line = &line[which * features + strip * STRIP..];
                out.iter_mut().zip(line).for_each(|(out, &sum)| *out += sum);
            }
        });
    }
}

struct Rows<'a> {
    call: LayerNormCall<'a>,
    dy: &'a [f32],
    dx: Option<&'a mut [f32]>,
    /// The block's part of dγ, and of dβ.
    sums: &'a mut [f32],
    wanted: [bool; 2],
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) {
        let LayerNormCall { x, features, epsilon, form, .. } = self.call;
        let count = features as f32;
        self.sums.fill(0.0);
        let (dgamma, dbeta) = self.sums.split_at_mut(features);
        let lines = x.chunks_exact(features).zip(self.dy.chunks_exact(features));
        for (index, (x, dy)) in lines.enumerate() {
            let mean = match form {
                Form::RootMeanSquare => 0.0,
                _ => lanes::sum_by(x, |v| v) / count,
            };
            let variance = lanes::sum_by(x, |v| (v - mean) * (v - mean)) / count;
            let factor = 1.0 / (variance + epsilon).sqrt();
            // What the result has taken off.
            let shift = if form == Form::Standard { mean } else { 0.0 };
            if self.wanted[0] {
                for ((sum, &x), &dy) in dgamma.iter_mut().zip(x).zip(dy) {
                    *sum = S::fma(dy * factor, x - shift, *sum);
                }
            }
            if self.wanted[1] {
                dbeta.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum += dy);
            }
            if let Some(dx) = self.dx.as_deref_mut() {
                let dx = &mut dx[index * features..(index + 1) * features];
                row(x, dy, self.call.gamma, form, Moments { mean, shift, factor }, dx);
            }
        }
    }
}

/// What a row was normalised with.
#[derive(Clone, Copy)]
struct Moments {
    mean: f32,
    shift: f32,
    factor: f32,
}

/// The gradient of one row.
#[inline(always)]
fn row(x: &[f32], dy: &[f32], gamma: Option<&[f32]>, form: Form, moments: Moments, dx: &mut [f32]) {
    let Moments { mean, shift, factor } = moments;
    let count = x.len() as f32;
    match gamma {
        Some(gamma) => {
            dx.iter_mut().zip(dy).zip(gamma).for_each(|((dx, &dy), &gamma)| *dx = dy * gamma);
        }
        None => dx.copy_from_slice(dy),
    }
    let product = lanes::product_sum(dx, x, shift) * factor / count;
    let offset = match form {
        Form::Standard => lanes::sum_by(dx, |g| g) / count,
        _ => 0.0,
    };
    for (dx, &x) in dx.iter_mut().zip(x) {
        *dx = factor * ((*dx - offset) - (x - mean) * factor * product);
    }
}
