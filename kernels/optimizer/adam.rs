//! Adam and AdamW.

use super::elements::{Elements, Gradient, each};
use super::{Slot, Step, power};
use crate::Cpu;

/// Adam (Kingma and Ba, 2015) in the form that ends its section 2.1: the corrections of both
/// moments stand in the step size, `lr · sqrt(1 - β2^t) / (1 - β1^t)`, and ε outside the root.
///
/// AdamW is the same update behind [`decay_weights`](super::decay_weights).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// The decay of the first moment; 0.9 by default.
    pub beta_1: f64,
    /// The decay of the second moment; 0.999 by default.
    pub beta_2: f64,
    /// What is added to the root; 1e-7 by default.
    pub epsilon: f64,
    /// Divides by the largest second moment so far (Reddi et al., 2018).
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false }
    }
}

/// What Adam keeps for a variable.
#[derive(Debug)]
pub struct AdamSlots<'a> {
    /// The first moment.
    pub momentum: &'a mut [f32],
    /// The second moment.
    pub velocity: &'a mut [f32],
    /// The largest second moment, with `amsgrad` alone.
    pub velocity_hat: Option<&'a mut [f32]>,
}

impl Adam {
    pub(super) fn slots(self) -> Vec<Vec<Slot>> {
        let mut slots = vec![vec![Slot::zeros("momentum"), Slot::zeros("velocity")]];
        if self.amsgrad {
            slots.push(vec![Slot::zeros("velocity_hat")]);
        }
        slots
    }

    /// Updates a variable and its slots.
    ///
    /// # Panics
    /// If a length does not fit, or `velocity_hat` is there without `amsgrad` or absent with it.
    pub fn update(
        self,
        cpu: Cpu,
        step: Step,
        variable: &mut [f32],
        gradient: Gradient<'_>,
        slots: AdamSlots,
    ) {
        let t = step.number();
        let root = (1.0 - power(self.beta_2 as f32, t)).sqrt();
        let update = Moments {
            alpha: step.learning_rate * root / (1.0 - power(self.beta_1 as f32, t)),
            first: (1.0 - self.beta_1) as f32,
            second: (1.0 - self.beta_2) as f32,
            epsilon: self.epsilon as f32,
        };
        let AdamSlots { momentum, velocity, velocity_hat } = slots;
        assert_eq!(velocity_hat.is_some(), self.amsgrad, "optimizer: Adam's velocity_hat");
        match velocity_hat {
            None => each(cpu, update, Some(gradient), [variable, momentum, velocity]),
            Some(hat) => each(cpu, update, Some(gradient), [variable, momentum, velocity, hat]),
        }
    }
}

#[derive(Clone, Copy)]
struct Moments {
    alpha: f32,
    first: f32,
    second: f32,
    epsilon: f32,
}

impl Elements<3> for Moments {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, m, v]: [f32; 3]) -> [f32; 3] {
        let m = m + (g - m) * self.first;
        let v = v + (square - v) * self.second;
        [variable - (m * self.alpha) / (v.sqrt() + self.epsilon), m, v]
    }
}

impl Elements<4> for Moments {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, m, v, hat]: [f32; 4]) -> [f32; 4] {
        let m = m + (g - m) * self.first;
        let v = v + (square - v) * self.second;
        // NaN goes on, as in TensorFlow's maximum.
        let hat = if (v > hat) | v.is_nan() { v } else { hat };
        [variable - (m * self.alpha) / (hat.sqrt() + self.epsilon), m, v, hat]
    }
}
