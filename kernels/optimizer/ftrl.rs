//! Follow the regularized leader.

use super::elements::{Elements, Gradient, each};
use super::{Slot, Step, power};
use crate::Cpu;

/// FTRL-Proximal (McMahan et al., 2013), with shrinkage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ftrl {
    /// The power of the accumulator, not positive; -0.5 by default.
    pub learning_rate_power: f64,
    /// What the accumulator starts with; 0.1 by default.
    pub initial_accumulator_value: f64,
    /// 0 by default.
    pub l1_regularization_strength: f64,
    /// 0 by default.
    pub l2_regularization_strength: f64,
    /// An L2 penalty on the gradient; 0 by default.
    pub l2_shrinkage_regularization_strength: f64,
    /// β of the paper; 0 by default.
    pub beta: f64,
}

impl Default for Ftrl {
    fn default() -> Self {
        Ftrl {
            learning_rate_power: -0.5,
            initial_accumulator_value: 0.1,
            l1_regularization_strength: 0.0,
            l2_regularization_strength: 0.0,
            l2_shrinkage_regularization_strength: 0.0,
            beta: 0.0,
        }
    }
}

impl Ftrl {
    pub(super) fn slots(self) -> Vec<Vec<Slot>> {
        let initial = self.initial_accumulator_value as f32;
        vec![vec![Slot { name: "accumulator", initial }, Slot::zeros("linear")]]
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
        accumulator: &mut [f32],
        linear: &mut [f32],
    ) {
        let lr = step.learning_rate;
        let l2 = self.l2_regularization_strength as f32 + self.beta as f32 / (2.0 * lr);
        let update = Leader {
            lr,
            power: -self.learning_rate_power as f32,
            l1: self.l1_regularization_strength as f32,
            twice_l2: 2.0 * l2,
            shrinkage: (2.0 * self.l2_shrinkage_regularization_strength) as f32,
        };
        each(cpu, update, Some(gradient), [variable, accumulator, linear]);
    }
}

#[derive(Clone, Copy)]
struct Leader {
    lr: f32,
    power: f32,
    l1: f32,
    twice_l2: f32,
    shrinkage: f32,
}

impl Elements<3> for Leader {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, a, linear]: [f32; 3]) -> [f32; 3] {
        let raise = |x: f32| if self.power == 0.5 { x.sqrt() } else { power(x, self.power) };
        let new = a + square;
        let root = raise(new);
        let shrunk = g + self.shrinkage * variable;
        let linear = linear + (shrunk - ((root - raise(a)) / self.lr) * variable);
        let quadratic = root / self.lr + self.twice_l2;
        let low = if linear < -self.l1 { -self.l1 } else { linear };
        let clipped = if low > self.l1 { self.l1 } else { low };
        [(clipped - linear) / quadratic, new, linear]
    }
}
