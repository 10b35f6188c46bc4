//! The gradients, through the moments too.

use super::sums::{self, Terms};
use super::{BatchNormCall, BatchNormGradients, workspace_len};
use crate::Cpu;

/// Writes the gradients that are asked for, from that of the result and from the moments that
/// [`forward`](super::forward) gave.
///
/// With r = `1 / sqrt(variance + ε)`, m whether an element counts and n how many do:
/// `dγ = r Σ dy (x - mean)` and `dβ = Σ dy` over all elements, and
/// `dx = γ r (dy - m (dβ + (x - mean) r dγ) / n)`.
///
/// # Panics
/// If a length does not fit, or a mask's [`repeat`](super::Steps::repeat) is not the last axis.
pub fn backward(
    cpu: Cpu,
    call: BatchNormCall,
    (mean, variance): (&[f32], &[f32]),
    dy: &[f32],
    gradients: BatchNormGradients,
    workspace: &mut [f32],
) {
    let BatchNormCall { shape, x, gamma, steps, epsilon, .. } = call;
    let BatchNormGradients { dx, mut dgamma, mut dbeta } = gradients;
    let channels = shape.channels;
    call.check(workspace.len());
    assert_eq!(dy.len(), x.len(), "batch_norm: the gradient's length");
    assert_eq!(mean.len(), channels, "batch_norm: the mean's length");
    assert_eq!(variance.len(), channels, "batch_norm: the variance's length");
    for (slice, len) in [(&dx, x.len()), (&dgamma, channels), (&dbeta, channels)] {
        assert!(slice.as_ref().is_none_or(|s| s.len() == len), "batch_norm: a gradient's length");
    }
    if x.is_empty() {
        dgamma.into_iter().chain(dbeta).for_each(|gradient| gradient.fill(0.0));
        return;
    }
    let (offsets, rest) = workspace[..workspace_len(&shape)].split_at_mut(channels);
    let (slopes, rest) = rest.split_at_mut(channels);
    let (factors, partial) = rest.split_at_mut(channels);
    // The parameters' gradients are sums over all elements; only the moments know of a mask.
    let term = |x: f32, dy: f32, mean: f32| [dy, dy * (x - mean)];
    sums::sums(cpu, Terms { shape, x, other: dy, mean, steps: None, term }, partial);
    sums::counts(&shape, steps, offsets);
    for channel in 0..channels {
        let root = 1.0 / (variance[channel] + epsilon).sqrt();
        let by_beta = sums::total(partial, 0, channel, channels) as f32;
        let by_gamma = sums::total(partial, 1, channel, channels) as f32 * root;
        if let Some(dbeta) = dbeta.as_deref_mut() {
            dbeta[channel] = by_beta;
        }
        if let Some(dgamma) = dgamma.as_deref_mut() {
            dgamma[channel] = by_gamma;
        }
        let count = offsets[channel];
        offsets[channel] = by_beta / count;
        slopes[channel] = root * by_gamma / count;
        factors[channel] = root * gamma.map_or(1.0, |gamma| gamma[channel]);
    }
    let Some(dx) = dx else { return };
    let by_channel = Channels { mean, offsets, slopes, factors };
    input_gradient(cpu, &call, by_channel, dy, dx);
}

/// What the gradient of x is made of, for each channel.
struct Channels<'a> {
    mean: &'a [f32],
    /// `dβ / n`.
    offsets: &'a [f32],
    /// `r dγ / n`, what a distance from the mean is multiplied with.
    slopes: &'a [f32],
    /// `γ r`.
    factors: &'a [f32],
}

fn input_gradient(cpu: Cpu, call: &BatchNormCall, channels: Channels, dy: &[f32], dx: &mut [f32]) {
    let BatchNormCall { shape, x, steps, .. } = *call;
    let Channels { mean, offsets, slopes, factors } = channels;
    sums::for_each_run(cpu, shape, dx, |at, channel, dx| {
        let repeat = steps.map_or(dx.len(), |steps| steps.repeat);
        for (part, dx) in dx.chunks_exact_mut(repeat).enumerate() {
            let start = at + part * repeat;
            let (x, dy) = (&x[start..start + repeat], &dy[start..start + repeat]);
            let counts = steps.is_none_or(|steps| steps.mask[start / repeat] != 0);
            let through_moments = if counts { 1.0 } else { 0.0 };
            let one = |c: usize, x: f32, dy: f32| {
                let by_moments = offsets[c] + (x - mean[c]) * slopes[c];
                factors[c] * (dy - through_moments * by_moments)
            };
            let lanes = dx.iter_mut().zip(x).zip(dy);
            if shape.inner == 1 {
                let first = channel + part * repeat;
                for (i, ((dx, &x), &dy)) in lanes.enumerate() {
                    *dx = one(first + i, x, dy);
                }
            } else {
                lanes.for_each(|((dx, &x), &dy)| *dx = one(channel, x, dy));
            }
        }
    });
}
