//! Adam with a step size for each variable.

use super::clip::{sum_by, sum_of_squares};
use super::elements::{Elements, Gradient, each};
use super::{Step, power};
use crate::Cpu;
use crate::isa::{Kernel, Simd};

/// LAMB (You et al., 2020): Adam's update, scaled by `|variable| / |update|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lamb {
    /// The decay of the first moment; 0.9 by default.
    pub beta_1: f64,
    /// The decay of the second moment; 0.999 by default.
    pub beta_2: f64,
    /// What is added to the root; 1e-7 by default.
    pub epsilon: f64,
}

impl Default for Lamb {
    fn default() -> Self {
        Lamb { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

impl Lamb {
    /// Updates a variable and its slots. The norms are summed in `f64`, where Keras sums in
    /// `f32`, in an order that its device decides.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn update(
        self,
        cpu: Cpu,
        step: Step,
        variable: &mut [f32],
        gradient: Gradient<'_>,
        momentum: &mut [f32],
        velocity: &mut [f32],
    ) {
        let t = step.number();
        let direction = Direction {
            first: 1.0 - power(self.beta_1 as f32, t),
            second: 1.0 - power(self.beta_2 as f32, t),
            epsilon: self.epsilon as f32,
        };
        let moments =
            Moments { first: (1.0 - self.beta_1) as f32, second: (1.0 - self.beta_2) as f32 };
        each(cpu, moments, Some(gradient), [momentum, velocity]);
        let (m, v) = (&*momentum, &*velocity);
        let w_norm = sum_of_squares(cpu, variable).sqrt();
        let squares = sum_by(cpu, m.len(), &|range| {
            cpu.isa.run(Squares { direction, m: &m[range.clone()], v: &v[range] })
        });
        let g_norm = (squares as f32).sqrt();
        let ratio = if w_norm > 0.0 && g_norm > 0.0 { w_norm / g_norm } else { 1.0 };
        let update = Apply { direction, scale: ratio * step.learning_rate };
        each(cpu, update, None, [variable, momentum, velocity]);
    }
}

#[derive(Clone, Copy)]
struct Moments {
    first: f32,
    second: f32,
}

impl Elements<2> for Moments {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [m, v]: [f32; 2]) -> [f32; 2] {
        [m + (g - m) * self.first, v + (square - v) * self.second]
    }
}

/// Adam's update before the step size.
#[derive(Clone, Copy)]
struct Direction {
    first: f32,
    second: f32,
    epsilon: f32,
}

impl Direction {
    #[inline(always)]
    fn of(self, m: f32, v: f32) -> f32 {
        (m / self.first) / ((v / self.second).sqrt() + self.epsilon)
    }
}

struct Squares<'a> {
    direction: Direction,
    m: &'a [f32],
    v: &'a [f32],
}

impl Kernel for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let mut lanes = [0.0f64; 16];
        for (m, v) in self.m.chunks(16).zip(self.v.chunks(16)) {
            for ((lane, &m), &v) in lanes.iter_mut().zip(m).zip(v) {
                let update = f64::from(self.direction.of(m, v));
                *lane += update * update;
            }
        }
        lanes.iter().sum()
    }
}

#[derive(Clone, Copy)]
struct Apply {
    direction: Direction,
    scale: f32,
}

impl Elements<3> for Apply {
    #[inline(always)]
    fn step(self, _: f32, _: f32, [variable, m, v]: [f32; 3]) -> [f32; 3] {
        [variable - self.scale * self.direction.of(m, v), m, v]
    }
}
