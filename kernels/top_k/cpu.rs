//! The best elements are parted from the others, then sorted.

use super::{Ordered, TopKCall, before};
use crate::{Cpu, DisjointMut};

/// Blocks of rows; each has room of its own for the positions of one row.
const BLOCKS: usize = 16;

/// The length of the workspace of [`top_k`].
pub fn workspace_len(outer: usize, axis: usize, inner: usize) -> usize {
    outer.saturating_mul(inner).min(BLOCKS).saturating_mul(axis)
}

/// Writes the best elements of each row, best first and of equal ones that in front first, and their
/// positions along the axis, each where somebody wants them.
///
/// # Panics
/// If a length does not fit.
pub fn top_k<T: Ordered>(
    cpu: Cpu,
    call: TopKCall<T>,
    workspace: &mut [u32],
    values: Option<&mut [T]>,
    positions: Option<&mut [i64]>,
) {
    let TopKCall { x, outer, axis, inner, count, largest } = call;
    assert_eq!(x.len(), outer * axis * inner, "top_k: the input's length");
    assert!(count <= axis, "top_k: {count} of {axis}");
    assert!(u32::try_from(axis).is_ok(), "top_k: an axis of {axis}");
    let len = outer * count * inner;
    assert!(values.as_ref().is_none_or(|values| values.len() == len), "top_k: the values' length");
    let fits = positions.as_ref().is_none_or(|positions| positions.len() == len);
    assert!(fits, "top_k: the positions' length");
    if len == 0 {
        return;
    }
    let rows = outer * inner;
    let blocks = rows.min(BLOCKS);
    assert!(workspace.len() >= blocks * axis, "top_k: the workspace's length");
    let orders = DisjointMut::new(workspace);
    let (values, positions) = (values.map(DisjointMut::new), positions.map(DisjointMut::new));
    cpu.pool.for_each(blocks, &|block| {
        // SAFETY: each block has its own part.
        let order = unsafe { orders.slice(block * axis..(block + 1) * axis) };
        for row in (block..rows).step_by(blocks) {
            let (outer, column) = (row / inner, row % inner);
            let element = |at: usize| x[(outer * axis + at) * inner + column];
            let compare = |a: &u32, b: &u32| before(element, largest, *a as usize, *b as usize);
            order.iter_mut().enumerate().for_each(|(at, slot)| *slot = at as u32);
            if count < axis {
                order.select_nth_unstable_by(count, compare);
            }
            order[..count].sort_unstable_by(compare);
            for (place, &at) in order[..count].iter().enumerate() {
                let to = (outer * count + place) * inner + column;
                if let Some(values) = &values {
                    // SAFETY: one block visits each row, once, and rows share no element.
                    let slot = unsafe { values.slice(to..to + 1) };
                    slot[0] = element(at as usize);
                }
                if let Some(positions) = &positions {
                    // SAFETY: as above.
                    let slot = unsafe { positions.slice(to..to + 1) };
                    slot[0] = i64::from(at);
                }
            }
        }
    });
}
