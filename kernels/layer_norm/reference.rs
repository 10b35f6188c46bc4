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
