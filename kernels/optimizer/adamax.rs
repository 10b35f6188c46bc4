//! Adam with the infinity norm.

use super::elements::{Elements, Gradient, each};
use super::{Step, power};
use crate::Cpu;

/// Adamax (Kingma and Ba, 2015, section 7.1): `u = max(β2 u, |g|)`,
/// `variable -= lr · m / ((1 - β1^t) (u + ε))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adamax {
    /// The decay of the first moment; 0.9 by default.
    pub beta_1: f64,
    /// The decay of the norm; 0.999 by default.
    pub beta_2: f64,
    /// What is added to the norm; 1e-7 by default.
    pub epsilon: f64,
}

impl Default for Adamax {
    fn default() -> Self {
        Adamax { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

impl Adamax {
    /// Updates a variable and its slots.
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
        norm: &mut [f32],
    ) {
        let update = Infinity {
            lr: step.learning_rate,
            first: (1.0 - self.beta_1) as f32,
            beta_2: self.beta_2 as f32,
            epsilon: self.epsilon as f32,
            correction: 1.0 - power(self.beta_1 as f32, step.number()),
        };
        each(cpu, update, Some(gradient), [variable, momentum, norm]);
    }
}

#[derive(Clone, Copy)]
struct Infinity {
    lr: f32,
    first: f32,
    beta_2: f32,
    epsilon: f32,
    correction: f32,
}

impl Elements<3> for Infinity {
    #[inline(always)]
    fn step(self, g: f32, size: f32, [variable, m, u]: [f32; 3]) -> [f32; 3] {
        let m = m + (g - m) * self.first;
        let decayed = self.beta_2 * u;
        let u = if (size > decayed) | size.is_nan() { size } else { decayed };
        [variable - (self.lr * m) / (self.correction * (u + self.epsilon)), m, u]
    }

    #[inline(always)]
    fn size(g: f32) -> f32 {
        g.abs()
    }
}
