//! The plain definition, in `f64`.

use super::Conv1dShape;

/// The convolution without an activation, `[batch, out_time, filters]`, in `f64`; `kernel` is
/// `[kernel_size, inputs / groups, filters]`.
pub fn forward(shape: &Conv1dShape, x: &[f32], kernel: &[f32], bias: Option<&[f32]>) -> Vec<f64> {
    let Conv1dShape { batch, time, inputs, filters, groups, .. } = *shape;
    let depth = inputs / groups;
    let before = shape.padding_sizes().0;
    let mut out = Vec::new();
    for b in 0..batch {
        for t in 0..shape.out_time() {
            for f in 0..filters {
                let group = f / (filters / groups);
                let mut sum = bias.map_or(0.0, |bias| f64::from(bias[f]));
                for tap in 0..shape.kernel_size {
                    let Some(step) = (t * shape.stride + tap * shape.dilation).checked_sub(before)
                    else {
                        continue;
                    };
                    for d in (0..depth).filter(|_| step < time) {
                        let input = x[(b * time + step) * inputs + group * depth + d];
                        let weight = kernel[(tap * depth + d) * filters + f];
                        sum += f64::from(input) * f64::from(weight);
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}
