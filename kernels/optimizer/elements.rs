//! Updates that treat every element alone: blocks of fixed size, loops that the compiler
//! vectorises.

use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};

/// Elements that one block works on.
const BLOCK: usize = 8 * 1024;

/// What happens to one element of a variable and to its slots.
pub(super) trait Elements<const N: usize>: Copy + Send + Sync {
    /// The new values of the variable and its slots, from their old ones and the gradient.
    fn step(self, gradient: f32, values: [f32; N]) -> [f32; N];
}

/// Takes a step with every element of a variable and its slots. Without a gradient it counts as
/// 0.
pub(super) fn each<const N: usize>(
    cpu: Cpu,
    step: impl Elements<N>,
    gradient: Option<&[f32]>,
    values: [&mut [f32]; N],
) {
    let len = values.first().map_or(0, |variable| variable.len());
    for values in &values {
        assert_eq!(values.len(), len, "optimizer: the length of a slot");
    }
    assert!(gradient.is_none_or(|g| g.len() == len), "optimizer: the gradient's length");
    let parts = values.map(DisjointMut::new);
    cpu.pool.for_each(len.div_ceil(BLOCK), &|block| {
        let range = block * BLOCK..len.min((block + 1) * BLOCK);
        // SAFETY: blocks write disjoint parts.
        let values = parts.map(|part| unsafe { part.slice(range.clone()) });
        let gradient = gradient.map(|gradient| &gradient[range]);
        cpu.isa.run(Block { step, gradient, values });
    });
}

struct Block<'a, E, const N: usize> {
    step: E,
    gradient: Option<&'a [f32]>,
    values: [&'a mut [f32]; N],
}

impl<E: Elements<N>, const N: usize> Kernel for Block<'_, E, N> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "one index into several slices")]
    fn run<S: Simd>(self, _: S) {
        let Block { step, gradient, values } = self;
        let len = values.first().map_or(0, |variable| variable.len());
        // Slices of one length that the compiler can see, so that no index is checked.
        let values = values.map(|values| &mut values[..len]);
        let Some(gradient) = gradient else {
            for i in 0..len {
                let old = std::array::from_fn(|n| values[n][i]);
                let new = step.step(0.0, old);
                for n in 0..N {
                    values[n][i] = new[n];
                }
            }
            return;
        };
        let gradient = &gradient[..len];
        for i in 0..len {
            let old = std::array::from_fn(|n| values[n][i]);
            let new = step.step(gradient[i], old);
            for n in 0..N {
                values[n][i] = new[n];
            }
        }
    }
}
