//! Updates that treat every element alone: blocks of fixed size, loops that the compiler
//! vectorises.

use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};

/// Elements that one block works on.
const BLOCK: usize = 8 * 1024;

/// The gradient of a variable.
///
/// That of a table of rows read by id is in Keras, on TensorFlow, a list of rows, several of which
/// may be of one id. They are added up where they meet a variable or a slot; a square or a
/// magnitude that is taken before is of each row by itself.
#[derive(Clone, Copy, Debug)]
pub struct Gradient<'a> {
    /// The gradient, of the variable's length.
    pub sum: &'a [f32],
    /// Where it is a list of rows, their squares, added up; for Adamax their magnitudes.
    pub sizes: Option<&'a [f32]>,
}

impl<'a> From<&'a [f32]> for Gradient<'a> {
    fn from(sum: &'a [f32]) -> Gradient<'a> {
        Gradient { sum, sizes: None }
    }
}

impl Gradient<'_> {
    fn slice(self, range: &std::ops::Range<usize>) -> Self {
        Gradient {
            sum: &self.sum[range.clone()],
            sizes: self.sizes.map(|sizes| &sizes[range.clone()]),
        }
    }
}

/// What happens to one element of a variable and to its slots.
pub(super) trait Elements<const N: usize>: Copy + Send + Sync {
    /// The new values of the variable and its slots, from their old ones, the gradient and its
    /// size.
    fn step(self, gradient: f32, size: f32, values: [f32; N]) -> [f32; N];

    /// The size of a gradient.
    #[inline(always)]
    fn size(gradient: f32) -> f32 {
        gradient * gradient
    }
}

/// Takes a step with every element of a variable and its slots. Without a gradient it counts as
/// 0.
pub(super) fn each<const N: usize>(
    cpu: Cpu,
    step: impl Elements<N>,
    gradient: Option<Gradient<'_>>,
    values: [&mut [f32]; N],
) {
    let len = values.first().map_or(0, |variable| variable.len());
    for values in &values {
        assert_eq!(values.len(), len, "optimizer: the length of a slot");
    }
    let fits = |g: Gradient<'_>| g.sum.len() == len && g.sizes.is_none_or(|s| s.len() == len);
    assert!(gradient.is_none_or(fits), "optimizer: the gradient's length");
    let parts = values.map(DisjointMut::new);
    cpu.pool.for_each(len.div_ceil(BLOCK), &|block| {
        let range = block * BLOCK..len.min((block + 1) * BLOCK);
        // SAFETY: blocks write disjoint parts.
        let values = parts.map(|part| unsafe { part.slice(range.clone()) });
        let gradient = gradient.map(|gradient| gradient.slice(&range));
        cpu.isa.run(Block { step, gradient, values });
    });
}

struct Block<'a, E, const N: usize> {
    step: E,
    gradient: Option<Gradient<'a>>,
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
                let new = step.step(0.0, 0.0, old);
                for n in 0..N {
                    values[n][i] = new[n];
                }
            }
            return;
        };
        let sum = &gradient.sum[..len];
        let Some(sizes) = gradient.sizes else {
            for i in 0..len {
                let old = std::array::from_fn(|n| values[n][i]);
                let new = step.step(sum[i], E::size(sum[i]), old);
                for n in 0..N {
                    values[n][i] = new[n];
                }
            }
            return;
        };
        let sizes = &sizes[..len];
        for i in 0..len {
            let old = std::array::from_fn(|n| values[n][i]);
            let new = step.step(sum[i], sizes[i], old);
            for n in 0..N {
                values[n][i] = new[n];
            }
        }
    }
}
