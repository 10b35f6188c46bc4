//! The forward form: the moments in two passes, so that a large mean costs no digits.

use super::sums::{self, Terms};
use super::{BatchNormCall, BatchNormOutput, workspace_len};
use crate::Cpu;

/// Writes the normalised values and the moments of the batch.
///
/// `workspace` has [`workspace_len`] values of any content. A channel of which nothing counts has
/// mean and variance 0, and so keeps its values times `γ / sqrt(ε)`.
///
/// # Panics
/// If a length does not fit, or a mask's [`repeat`](super::Steps::repeat) is not the last axis.
pub fn forward(cpu: Cpu, call: BatchNormCall, out: BatchNormOutput, workspace: &mut [f32]) {
    let BatchNormCall { shape, x, gamma, beta, steps, epsilon } = call;
    let BatchNormOutput { y, mean, variance } = out;
    let channels = shape.channels;
    call.check(workspace.len());
    assert_eq!(y.len(), x.len(), "batch_norm: the output's length");
    assert_eq!(mean.len(), channels, "batch_norm: the mean's length");
    assert_eq!(variance.len(), channels, "batch_norm: the variance's length");
    mean.fill(0.0);
    variance.fill(0.0);
    if x.is_empty() {
        return;
    }
    let (counts, rest) = workspace[..workspace_len(&shape)].split_at_mut(channels);
    let (factors, partial) = rest.split_at_mut(2 * channels);
    let factors = &mut factors[..channels];
    sums::counts(&shape, steps, counts);
    let terms = |x: f32, _: f32, _: f32| [x, 0.0];
    sums::sums(cpu, Terms { shape, x, other: x, mean, steps, term: terms }, partial);
    for (channel, mean) in mean.iter_mut().enumerate() {
        *mean = (sums::total(partial, 0, channel, channels) / f64::from(counts[channel])) as f32;
    }
    let terms = |x: f32, _: f32, mean: f32| [(x - mean) * (x - mean), x - mean];
    sums::sums(cpu, Terms { shape, x, other: x, mean, steps, term: terms }, partial);
    for (channel, (mean, variance)) in mean.iter_mut().zip(&mut *variance).enumerate() {
        let count = f64::from(counts[channel]);
        // The distances from the mean make up for the rounding of the sums that gave it.
        let shift = sums::total(partial, 1, channel, channels) / count;
        let square = sums::total(partial, 0, channel, channels) / count;
        *mean = (f64::from(*mean) + shift) as f32;
        *variance = (square - shift * shift).max(0.0) as f32;
        let scale = gamma.map_or(1.0, |gamma| gamma[channel]);
        factors[channel] = scale / (*variance + epsilon).sqrt();
    }
    let (factors, mean) = (&*factors, &*mean);
    sums::for_each_run(cpu, shape, y, |at, channel, y| {
        let x = &x[at..at + y.len()];
        if shape.inner == 1 {
            for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                *y = (x - mean[i]) * factors[i] + beta.map_or(0.0, |beta| beta[i]);
            }
        } else {
            let (mean, factor) = (mean[channel], factors[channel]);
            let offset = beta.map_or(0.0, |beta| beta[channel]);
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x - mean) * factor + offset);
        }
    });
}
