//! The gradients of pooling over windows, vectorised over features.

use super::{Pooling, WindowPoolShape};
use crate::isa::{Kernel, Simd};
use crate::{Cpu, DisjointMut};

/// Features of one strip.
const STRIP: usize = 64;

/// Writes the gradient of the input to `dx` (`[batch, height, width, features]`) from that of the
/// output, `dy`.
///
/// A maximum's goes to the first of its window's largest elements, as that of TensorFlow's
/// `max_pool` (a NaN counts only where it is the window's first); a mean's is spread evenly over
/// the elements that are no padding. Windows that overlap add up, in order.
///
/// # Panics
/// If a length does not fit the shape.
pub fn backward(
    cpu: Cpu,
    kind: Pooling,
    shape: &WindowPoolShape,
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    let WindowPoolShape { height, width, features, .. } = *shape;
    height.window.check("window_pool");
    width.window.check("window_pool");
    assert_eq!(x.len(), shape.input_len(), "window_pool: the input's length");
    assert_eq!(dy.len(), shape.output_len(), "window_pool: the gradient's length");
    assert_eq!(dx.len(), shape.input_len(), "window_pool: the input gradient's length");
    if dx.is_empty() {
        return;
    }
    let strips = features.div_ceil(STRIP);
    let image = height.len * width.len * features;
    let out_image = height.outputs() * width.outputs() * features;
    let parts = DisjointMut::new(dx);
    cpu.pool.for_each(shape.batch * strips, &|block| {
        let (b, left) = (block / strips, block % strips * STRIP);
        cpu.isa.run(Features {
            kind,
            shape,
            x: &x[b * image..(b + 1) * image],
            dy: &dy[b * out_image..(b + 1) * out_image],
            dx: parts,
            start: b * image,
            left,
            count: STRIP.min(features - left),
        });
    });
}

/// Some features of one image.
struct Features<'a> {
    kind: Pooling,
    shape: &'a WindowPoolShape,
    /// The image, `[height, width, features]`.
    x: &'a [f32],
    /// The gradient of its windows.
    dy: &'a [f32],
    /// The gradient of all images.
    dx: DisjointMut<'a, f32>,
    /// Where this image's begins.
    start: usize,
    /// The first feature.
    left: usize,
    /// How many features there are.
    count: usize,
}

impl Kernel for Features<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let WindowPoolShape { height, width, features, .. } = *self.shape;
        for element in 0..height.len * width.len {
            self.part(element).fill(0.0);
        }
        let (lines, steps) = (height.outputs(), width.outputs());
        for window in 0..lines * steps {
            let from = window * features + self.left;
            let dy = &self.dy[from..from + self.count];
            match self.kind {
                Pooling::Max => self.first_largest(window, steps, dy),
                Pooling::Average => self.spread(window, steps, dy),
            }
        }
    }
}

impl Features<'_> {
    /// The gradient of the features of one element.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    fn part(&self, element: usize) -> &mut [f32] {
        let at = self.start + element * self.shape.features + self.left;
        // SAFETY: these features of this image are this block's, where one part lives at a time.
        unsafe { self.dx.slice(at..at + self.count) }
    }

    /// Visits the elements of a window, in order; gives how many there are.
    #[inline(always)]
    fn elements(&self, window: usize, steps: usize, mut visit: impl FnMut(usize)) -> usize {
        let WindowPoolShape { height, width, .. } = *self.shape;
        let (line, taps) = (height.taps(window / steps), width.taps(window % steps));
        for plane in 0..line.count {
            let row = (line.input + plane * line.input_step) * width.len + taps.input;
            (0..taps.count).for_each(|tap| visit(row + tap * taps.input_step));
        }
        line.count * taps.count
    }

    #[inline(always)]
    fn spread(&self, window: usize, steps: usize, dy: &[f32]) {
        let count = self.elements(window, steps, |_| {}) as f32;
        self.elements(window, steps, |element| {
            self.part(element).iter_mut().zip(dy).for_each(|(sum, &dy)| *sum += dy / count);
        });
    }

    #[inline(always)]
    fn first_largest(&self, window: usize, steps: usize, dy: &[f32]) {
        let features = self.shape.features;
        let (mut best, mut place) = ([0.0f32; STRIP], [0u32; STRIP]);
        let mut first = true;
        let count = self.elements(window, steps, |element| {
            let values = &self.x[element * features + self.left..][..self.count];
            for ((best, place), &value) in best.iter_mut().zip(&mut place).zip(values) {
                let found = first | (value > *best);
                *best = if found { value } else { *best };
                *place = if found { element as u32 } else { *place };
            }
            first = false;
        });
        if count == 0 {
            return;
        }
        for (feature, (&dy, &place)) in dy.iter().zip(&place).enumerate() {
            let at = self.start + place as usize * features + self.left + feature;
            // SAFETY: as for `part`.
            let sum = unsafe { self.dx.slice(at..at + 1) };
            sum[0] += dy;
        }
    }
}
