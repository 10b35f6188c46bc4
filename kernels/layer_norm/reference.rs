//! The plain definition, in `f64`.

use super::{Form, LayerNormCall};

/// The formula of `call.form`, row by row, in `f64`.
pub fn forward(call: LayerNormCall) -> Vec<f64> {
    let LayerNormCall { x, gamma, beta, features, epsilon, form } = call;
    let count = features as f64;
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks_exact(features.max(1)) {
        let row: Vec<f64> = row.iter().map(|&v| v.into()).collect();
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let square = row.iter().map(|v| v * v).sum::<f64>() / count;
        let (shift, spread) = match form {
            Form::Standard => (mean, variance),
            Form::VarianceScaling => (0.0, variance),
            Form::RootMeanSquare => (0.0, square),
        };
        for (i, value) in row.iter().enumerate() {
            let scale = gamma.map_or(1.0, |gamma| gamma[i].into());
            let offset = beta.map_or(0.0, |beta| beta[i].into());
            out.push((value - shift) / (spread + f64::from(epsilon)).sqrt() * scale + offset);
        }
    }
    out
}
