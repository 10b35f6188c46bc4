//! Adadelta.

use super::Step;
use super::elements::{Elements, Gradient, each};
use crate::Cpu;

/// Adadelta (Zeiler, 2012): `d = -rms(D) g / rms(G)`, `variable += lr · d`, with the averages `G`
/// of `g²` and `D` of `d²` and `rms(x) = sqrt(x + ε)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adadelta {
    /// The decay of the averages; 0.95 by default.
    pub rho: f64,
    /// What is added inside the roots; 1e-7 by default.
    pub epsilon: f64,
}

impl Default for Adadelta {
    fn default() -> Self {
        Adadelta { rho: 0.95, epsilon: 1e-7 }
    }
}

impl Adadelta {
    /// Updates a variable and its slots: the averages of the squares of gradients and of steps.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn update(
        self,
        cpu: Cpu,
        step: Step,
        variable: &mut [f32],
        gradient: Gradient<'_>,
        accumulated_grad: &mut [f32],
        accumulated_delta_var: &mut [f32],
    ) {
        let update = Delta {
            lr: step.learning_rate,
            rho: self.rho as f32,
            rest: (1.0 - self.rho) as f32,
            epsilon: self.epsilon as f32,
        };
        each(cpu, update, Some(gradient), [variable, accumulated_grad, accumulated_delta_var]);
    }
}

#[derive(Clone, Copy)]
struct Delta {
    lr: f32,
    rho: f32,
    rest: f32,
    epsilon: f32,
}

impl Elements<3> for Delta {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, grads, deltas]: [f32; 3]) -> [f32; 3] {
        let rms = |x: f32| (x + self.epsilon).sqrt();
        let grads = self.rho * grads + self.rest * square;
        let delta = -((rms(deltas) * g) / rms(grads));
        // A list of rows has a step for each, whose squares are added up.
        let squares = match square == g * g {
            true => delta * delta,
            false => (rms(deltas) / rms(grads)).powi(2) * square,
        };
        let deltas = self.rho * deltas + self.rest * squares;
        [variable + self.lr * delta, grads, deltas]
    }
}
