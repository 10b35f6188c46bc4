//! The plain definition.

use super::Conv1dShape;
use crate::Real;

/// The convolution without an activation, `[batch, out_time, filters]`, computed in `R`;
/// `kernel` is `[kernel_size, inputs / groups, filters]`.
pub fn forward<T: Real, R: Real>(
    shape: &Conv1dShape,
    x: &[T],
    kernel: &[T],
    bias: Option<&[T]>,
) -> Vec<R> {
    let convert = |value: T| R::from_f64(value.to_f64());
    let Conv1dShape { batch, time, inputs, filters, groups, .. } = *shape;
    let depth = inputs / groups;
    let before = shape.padding_sizes().0;
    let mut out = Vec::new();
    for b in 0..batch {
        for t in 0..shape.out_time() {
            for f in 0..filters {
                let group = f / (filters / groups);
                let mut sum = bias.map_or(R::zero(), |bias| convert(bias[f]));
                for tap in 0..shape.kernel_size {
                    let Some(step) = (t * shape.stride + tap * shape.dilation).checked_sub(before)
                    else {
                        continue;
                    };
                    for d in (0..depth).filter(|_| step < time) {
                        let input = x[(b * time + step) * inputs + group * depth + d];
                        let weight = kernel[(tap * depth + d) * filters + f];
                        sum += convert(input) * convert(weight);
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}
