//! Keys and values in the order in which the products read them.

use super::AttentionShape;
use crate::panel::padded;

/// The side of the squares in which keys are transposed.
const TILE: usize = 16;

/// Where the packed parts lie in the workspace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing {
    /// A row of transposed keys, or of scores: the keys in whole vectors.
    pub(super) key_stride: usize,
    /// A packed row of values.
    pub(super) value_stride: usize,
    /// The transposed keys of one head, `[dim, key_stride]`.
    pub(super) key_len: usize,
    /// The values of one head, `[keys, value_stride]`.
    pub(super) value_len: usize,
}

impl Packing {
    pub(super) fn new(shape: &AttentionShape) -> Packing {
        let key_stride = padded(shape.keys);
        let value_stride = padded(shape.value_dim);
        Packing {
            key_stride,
            value_stride,
            key_len: shape.dim * key_stride,
            value_len: shape.keys * value_stride,
        }
    }
}

/// Transposes the keys of one head; the columns behind the last key become 0.
///
/// `key` starts at the head's first value.
pub(super) fn keys(shape: &AttentionShape, packing: &Packing, key: &[f32], out: &mut [f32]) {
    let stride = shape.kv_heads * shape.dim;
    for left in (0..packing.key_stride).step_by(TILE) {
        for top in (0..shape.dim).step_by(TILE) {
            for d in top..shape.dim.min(top + TILE) {
                let line = &mut out[d * packing.key_stride + left..][..TILE];
                for (i, value) in line.iter_mut().enumerate() {
                    let k = left + i;
                    *value = if k < shape.keys { key[k * stride + d] } else { 0.0 };
                }
            }
        }
    }
}

/// Copies the values of one head into rows of whole vectors.
///
/// `value` starts at the head's first value.
pub(super) fn values(shape: &AttentionShape, packing: &Packing, value: &[f32], out: &mut [f32]) {
    let stride = shape.kv_heads * shape.value_dim;
    for (k, row) in out.chunks_exact_mut(packing.value_stride.max(1)).enumerate() {
        let (row, rest) = row.split_at_mut(shape.value_dim);
        row.copy_from_slice(&value[k * stride..k * stride + shape.value_dim]);
        rest.fill(0.0);
    }
}
