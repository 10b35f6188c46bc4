//! Lion.

use super::Step;
use super::elements::{Elements, Gradient, each};
use crate::Cpu;

/// Lion (Chen et al., 2023): `variable -= lr · sign(β1 m + (1 - β1) g)`, then
/// `m = β2 m + (1 - β2) g`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lion {
    /// The weight of the momentum in a step; 0.9 by default.
    pub beta_1: f64,
    /// The decay of the momentum; 0.99 by default.
    pub beta_2: f64,
}

impl Default for Lion {
    fn default() -> Self {
        Lion { beta_1: 0.9, beta_2: 0.99 }
    }
}

impl Lion {
    /// Updates a variable and its slot.
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
    ) {
        let (beta_1, beta_2) = (self.beta_1 as f32, self.beta_2 as f32);
        let update = Sign { lr: step.learning_rate, beta_1, beta_2 };
        each(cpu, update, Some(gradient), [variable, momentum]);
    }
}

#[derive(Clone, Copy)]
struct Sign {
    lr: f32,
    beta_1: f32,
    beta_2: f32,
}

impl Elements<2> for Sign {
    #[inline(always)]
    fn step(self, g: f32, _: f32, [variable, m]: [f32; 2]) -> [f32; 2] {
        let direction = m * self.beta_1 + g * (1.0 - self.beta_1);
        let sign = if direction > 0.0 { 1.0 } else { -1.0 };
        let sign = if (direction == 0.0) | direction.is_nan() { direction } else { sign };
        [variable - self.lr * sign, m * self.beta_2 + g * (1.0 - self.beta_2)]
    }
}
