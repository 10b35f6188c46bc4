//! The gradients of global pooling.

use super::PoolShape;
use super::cpu::extent;
use crate::{Cpu, reduce};

/// The gradient of [`global_max`](super::global_max): that of each maximum `y`
/// (`[batch, features]`) is split evenly among the steps that equal it, as TensorFlow's
/// `reduce_max` has it. `dx` is `[batch, time, features]`.
///
/// # Panics
/// If a length does not fit the shape.
pub fn global_max_backward(
    cpu: Cpu,
    x: &[f32],
    y: &[f32],
    dy: &[f32],
    shape: PoolShape,
    dx: &mut [f32],
) {
    reduce::extremum_backward(cpu, x, y, dy, extent(shape), dx);
}

/// The gradient of [`global_average`](super::global_average): that of each mean, spread evenly
/// over the unmasked steps; masked ones get 0, also where all are. `dx` is
/// `[batch, time, features]`.
///
/// # Panics
/// If a length does not fit the shape.
pub fn global_average_backward(
    cpu: Cpu,
    dy: &[f32],
    mask: Option<&[u8]>,
    shape: PoolShape,
    dx: &mut [f32],
) {
    let PoolShape { batch, time, features } = shape;
    let Some(mask) = mask else {
        return reduce::sum_backward(cpu, dy, extent(shape), 1.0 / time as f32, dx);
    };
    assert_eq!(dx.len(), batch * time * features, "pool1d: the input gradient's length");
    assert_eq!(mask.len(), batch * time, "pool1d: the mask's length");
    assert_eq!(dy.len(), batch * features, "pool1d: the gradient's length");
    if dx.is_empty() {
        return;
    }
    cpu.pool.for_each_chunk(dx, time * features, &|b, dx| {
        let (mask, dy) = (&mask[b * time..][..time], &dy[b * features..][..features]);
        let count = mask.iter().filter(|&&keep| keep != 0).count() as f32;
        for (step, &keep) in dx.chunks_exact_mut(features).zip(mask) {
            match keep {
                0 => step.fill(0.0),
                _ => step.iter_mut().zip(dy).for_each(|(out, &dy)| *out = dy / count),
            }
        }
    });
}
