//! The gradient of softmax, from its result.

use super::{Form, SoftmaxGradient};
use crate::activation::{log_softmax_row, math, softmax_row};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};

/// Elements that one block works on, roughly.
const BLOCK: usize = 8 * 1024;
/// Columns of one strip of an inner axis.
const STRIP: usize = 64;

/// Writes the gradient of the logits: `y (dy - Σ y dy)` for [`Form::Probability`],
/// `dy - exp(y) Σ dy` for [`Form::Logarithm`], the sums along the axis.
///
/// Elements that a mask left out, whose `y` is 0, get 0, and so does a wholly masked row.
///
/// # Panics
/// If a length does not fit.
pub fn backward(cpu: Cpu, call: SoftmaxGradient, dx: &mut [f32]) {
    let SoftmaxGradient { y, dy, outer, axis, inner, form } = call;
    assert_eq!(y.len(), outer * axis * inner, "softmax: the result's length");
    assert_eq!(dy.len(), y.len(), "softmax: the gradient's length");
    assert_eq!(dx.len(), y.len(), "softmax: the input gradient's length");
    if dx.is_empty() {
        return;
    }
    // Whole entries of `outer`: the columns of one lie between each other's.
    let entry = axis * inner;
    let group = if inner == 1 { (BLOCK / axis).max(1) } else { 1 };
    let parts = DisjointMut::new(dx);
    cpu.pool.for_each(outer.div_ceil(group), &|block| {
        let range = block * group * entry..outer.min((block + 1) * group) * entry;
        // SAFETY: blocks write disjoint entries of `outer`.
        let dx = unsafe { parts.slice(range.clone()) };
        cpu.isa.run(Block { y: &y[range.clone()], dy: &dy[range], dx, axis, inner, form });
    });
}

struct Block<'a> {
    y: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    axis: usize,
    inner: usize,
    form: Form,
}

impl Kernel for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Block { y, dy, dx, axis, inner, form } = self;
        if inner != 1 {
            return columns::<S>(y, dy, dx, inner, form);
        }
        let lines = y.chunks_exact(axis).zip(dy.chunks_exact(axis));
        for (dx, (y, dy)) in dx.chunks_exact_mut(axis).zip(lines) {
            match form {
                Form::Probability => softmax_row(y, dy, dx),
                Form::Logarithm => log_softmax_row::<S>(y, dy, dx),
            }
        }
    }
}

#[inline(always)]
fn columns<S: Simd>(y: &[f32], dy: &[f32], dx: &mut [f32], inner: usize, form: Form) {
    for left in (0..inner).step_by(STRIP) {
        let width = STRIP.min(inner - left);
        let mut sums = [0.0; STRIP];
        for line in (left..y.len()).step_by(inner) {
            let (y, dy) = (&y[line..line + width], &dy[line..line + width]);
            match form {
                Form::Probability => {
                    for ((sum, &y), &dy) in sums.iter_mut().zip(y).zip(dy) {
                        *sum += y * dy;
                    }
                }
                Form::Logarithm => sums.iter_mut().zip(dy).for_each(|(sum, &dy)| *sum += dy),
            }
        }
        for line in (left..y.len()).step_by(inner) {
            let (y, dy) = (&y[line..line + width], &dy[line..line + width]);
            let lanes = dx[line..line + width].iter_mut().zip(y).zip(dy).zip(&sums);
            match form {
                Form::Probability => {
                    lanes.for_each(|(((dx, &y), &dy), &sum)| *dx = y * (dy - sum));
                }
                Form::Logarithm => {
                    lanes.for_each(|(((dx, &y), &dy), &sum)| {
                        *dx = dy - math::exp::<S>(y) * sum;
                    });
                }
            }
        }
    }
}
