//! Adam with Nesterov's momentum.

use super::elements::{Elements, Gradient, each};
use super::{Step, power};
use crate::Cpu;

/// Nadam (Dozat, 2016), whose momentum grows as `β1 (1 - 0.5 · 0.96^t)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nadam {
    /// The decay of the first moment; 0.9 by default.
    pub beta_1: f64,
    /// The decay of the second moment; 0.999 by default.
    pub beta_2: f64,
    /// What is added to the root; 1e-7 by default.
    pub epsilon: f64,
}

impl Default for Nadam {
    fn default() -> Self {
        Nadam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 }
    }
}

/// What Nadam keeps for a variable, and the scalar of all.
#[derive(Debug)]
pub struct NadamSlots<'a> {
    /// The first moment.
    pub momentum: &'a mut [f32],
    /// The second moment.
    pub velocity: &'a mut [f32],
    /// The product of the momenta of all steps, this one's among them.
    pub u_product: f32,
}

impl Nadam {
    /// The product of the momenta after one more step: call it once a step, before the variables'
    /// updates. It starts with 1.
    pub fn next_u_product(self, step: Step, u_product: f32) -> f32 {
        u_product * self.beta_1 as f32 * (1.0 - 0.5 * power(0.96, step.number()))
    }

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
        slots: NadamSlots,
    ) {
        let NadamSlots { momentum, velocity, u_product } = slots;
        let (t, next) = (step.number(), step.iteration as f32 + 2.0);
        let (beta_1, beta_2) = (self.beta_1 as f32, self.beta_2 as f32);
        let now = beta_1 * (1.0 - 0.5 * power(0.96, t));
        let ahead = beta_1 * (1.0 - 0.5 * power(0.96, next));
        let update = Nesterov {
            lr: step.learning_rate,
            first: 1.0 - beta_1,
            second: 1.0 - beta_2,
            epsilon: self.epsilon as f32,
            ahead,
            ahead_correction: 1.0 - u_product * ahead,
            rest: 1.0 - now,
            correction: 1.0 - u_product,
            second_correction: 1.0 - power(beta_2, t),
        };
        each(cpu, update, Some(gradient), [variable, momentum, velocity]);
    }
}

#[derive(Clone, Copy)]
struct Nesterov {
    lr: f32,
    first: f32,
    second: f32,
    epsilon: f32,
    ahead: f32,
    ahead_correction: f32,
    rest: f32,
    correction: f32,
    second_correction: f32,
}

impl Elements<3> for Nesterov {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, m, v]: [f32; 3]) -> [f32; 3] {
        let m = m + (g - m) * self.first;
        let v = v + (square - v) * self.second;
        let m_hat = (self.ahead * m) / self.ahead_correction + (self.rest * g) / self.correction;
        let v_hat = v / self.second_correction;
        [variable - (m_hat * self.lr) / (v_hat.sqrt() + self.epsilon), m, v]
    }
}
