//! The fast form: rows of the last axis, or strips of columns for an inner axis.

use super::{Form, SoftmaxCall};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut, lanes};

/// Elements that one block works on, roughly.
const BLOCK: usize = 8 * 1024;
/// Columns of one strip of an inner axis.
const STRIP: usize = 64;

/// Writes the softmax of `call.x` to `out`, `[outer, axis, inner]`.
///
/// A row with a NaN gives NaN.
///
/// # Panics
/// If a length does not fit, or a mask is given for [`Form::Logarithm`].
pub fn forward(cpu: Cpu, call: SoftmaxCall, out: &mut [f32]) {
    let SoftmaxCall { x, mask, outer, axis, inner, form } = call;
    assert_eq!(x.len(), outer * axis * inner, "softmax: the input's length");
    assert_eq!(out.len(), x.len(), "softmax: the output's length");
    assert!(mask.is_none_or(|mask| mask.len() == x.len()), "softmax: the mask's length");
    assert!(mask.is_none() || form == Form::Probability, "log_softmax takes no mask");
    if out.is_empty() {
        return;
    }
    let parts = DisjointMut::new(out);
    if inner == 1 {
        let group = (BLOCK / axis).max(1);
        cpu.pool.for_each(outer.div_ceil(group), &|block| {
            let range = block * group * axis..outer.min((block + 1) * group) * axis;
            let mask = mask.map(|mask| &mask[range.clone()]);
            // SAFETY: blocks write disjoint rows.
            let out = unsafe { parts.slice(range.clone()) };
            cpu.isa.run(Rows { x: &x[range], mask, out, axis, form });
        });
        return;
    }
    // A block is one entry of `outer`: its columns lie between each other's.
    cpu.pool.for_each(outer, &|block| {
        let range = block * axis * inner..(block + 1) * axis * inner;
        let mask = mask.map(|mask| &mask[range.clone()]);
        // SAFETY: blocks write disjoint entries of `outer`.
        let out = unsafe { parts.slice(range.clone()) };
        cpu.isa.run(Columns { x: &x[range], mask, out, inner, form });
    });
}

struct Rows<'a> {
    x: &'a [f32],
    mask: Option<&'a [u8]>,
    out: &'a mut [f32],
    axis: usize,
    form: Form,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (row, out) in self.out.chunks_exact_mut(self.axis).enumerate() {
            let range = row * self.axis..(row + 1) * self.axis;
            let x = &self.x[range.clone()];
            match self.mask {
                Some(mask) => {
                    for ((out, &x), &keep) in out.iter_mut().zip(x).zip(&mask[range]) {
                        *out = if keep != 0 { x } else { f32::NEG_INFINITY };
                    }
                }
                None => out.copy_from_slice(x),
            }
            let max = lanes::max(out);
            if self.mask.is_some() && max == f32::NEG_INFINITY {
                out.fill(0.0);
                continue;
            }
            match self.form {
                Form::Probability => {
                    let sum = lanes::exp_sum::<S>(out, max);
                    let scale = 1.0 / sum;
                    out.iter_mut().for_each(|value| *value *= scale);
                }
                Form::Logarithm => {
                    let sum = lanes::exp_sum::<S>(out, max).ln();
                    for (out, &x) in out.iter_mut().zip(x) {
                        *out = (x - max) - sum;
                    }
                }
            }
        }
    }
}

struct Columns<'a> {
    x: &'a [f32],
    mask: Option<&'a [u8]>,
    out: &'a mut [f32],
    inner: usize,
    form: Form,
}

impl Columns<'_> {
    /// The logit at a place, −∞ where it is masked.
    #[inline(always)]
    fn logit(&self, at: usize) -> f32 {
        match self.mask {
            Some(mask) if mask[at] == 0 => f32::NEG_INFINITY,
            _ => self.x[at],
        }
    }
}

impl Kernel for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for left in (0..self.inner).step_by(STRIP) {
            let width = STRIP.min(self.inner - left);
            let mut max = [f32::NEG_INFINITY; STRIP];
            for line in (left..self.x.len()).step_by(self.inner) {
                for (i, max) in max[..width].iter_mut().enumerate() {
                    *max = lanes::larger(*max, self.logit(line + i));
                }
            }
            let mut sum = [0.0; STRIP];
            for line in (left..self.x.len()).step_by(self.inner) {
                for i in 0..width {
                    let power = lanes::exp::<S>(self.logit(line + i) - max[i]);
                    self.out[line + i] = power;
                    sum[i] += power;
                }
            }
            for line in (left..self.x.len()).step_by(self.inner) {
                for i in 0..width {
                    let at = line + i;
                    self.out[at] = match self.form {
                        Form::Logarithm => (self.x[at] - max[i]) - sum[i].ln(),
                        _ if self.mask.is_some() && max[i] == f32::NEG_INFINITY => 0.0,
                        Form::Probability => self.out[at] / sum[i],
                    };
                }
            }
        }
    }
}
