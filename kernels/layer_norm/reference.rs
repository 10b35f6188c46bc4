//! The plain definition.

use super::{Form, LayerNormCall};
use crate::Real;

/// The formula of `call.form`, row by row, computed in `R`.
pub fn forward<T: Real, R: Real>(call: LayerNormCall<T>) -> Vec<R> {
    let LayerNormCall { x, gamma, beta, features, epsilon, form } = call;
    let convert = |value: T| R::from_f64(value.to_f64());
    let (count, epsilon) = (R::from_f64(features as f64), R::from_f64(epsilon.into()));
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(features.max(1)) {
        let row: Vec<R> = row.iter().map(|&v| convert(v)).collect();
        let mean = row.iter().copied().sum::<R>() / count;
        let variance = row.iter().map(|&v| (v - mean) * (v - mean)).sum::<R>() / count;
        let square = row.iter().map(|&v| v * v).sum::<R>() / count;
        let (shift, spread) = match form {
            Form::Standard => (mean, variance),
            Form::VarianceScaling => (R::zero(), variance),
            Form::RootMeanSquare => (R::zero(), square),
        };
        for (i, &value) in row.iter().enumerate() {
            let scale = gamma.map_or(R::one(), |gamma| convert(gamma[i]));
            let offset = beta.map_or(R::zero(), |beta| convert(beta[i]));
            out.push((value - shift) / (spread + epsilon).sqrt() * scale + offset);
        }
    }
    out
}

/// The gradients of x, gamma and beta, by the chain rule through mean and variance.
pub fn backward<T: Real, R: Real>(call: LayerNormCall<T>, dy: &[T]) -> [Vec<R>; 3] {
    let LayerNormCall { x, gamma, features, epsilon, form, .. } = call;
    let convert = |value: T| R::from_f64(value.to_f64());
    let (count, epsilon) = (R::from_f64(features as f64), R::from_f64(epsilon.into()));
    let mut dx = Vec::with_capacity(x.len());
    let (mut dgamma, mut dbeta) = (vec![R::zero(); features], vec![R::zero(); features]);
    let rows = x.chunks_exact(features.max(1)).zip(dy.chunks_exact(features.max(1)));
    for (x, dy) in rows {
        let x: Vec<R> = x.iter().map(|&v| convert(v)).collect();
        let mean = match form {
            Form::RootMeanSquare => R::zero(),
            _ => x.iter().copied().sum::<R>() / count,
        };
        let shift = if form == Form::Standard { mean } else { R::zero() };
        let variance = x.iter().map(|&v| (v - mean) * (v - mean)).sum::<R>() / count;
        let root = (variance + epsilon).sqrt();
        let scale = |i: usize| gamma.map_or(R::one(), |gamma| convert(gamma[i]));
        let g: Vec<R> = (0..features).map(|i| convert(dy[i]) * scale(i)).collect();
        for i in 0..features {
            dgamma[i] += convert(dy[i]) * (x[i] - shift) / root;
            dbeta[i] += convert(dy[i]);
        }
        // By the variance: that of (v + ε)^-½ is -½ (v + ε)^-3/2.
        let dvariance: R = (0..features).map(|i| g[i] * (x[i] - shift)).sum::<R>()
            / (R::from_f64(-2.0) * root * root * root);
        let dshift = g.iter().copied().sum::<R>() / -root;
        for i in 0..features {
            let by_mean = if form == Form::Standard { dshift / count } else { R::zero() };
            let by_variance = dvariance * R::from_f64(2.0) * (x[i] - mean) / count;
            dx.push(g[i] / root + by_mean + by_variance);
        }
    }
    [dx, dgamma, dbeta]
}
