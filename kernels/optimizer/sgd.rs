//! Stochastic gradient descent.

use super::elements::{Elements, Gradient, each};
use super::{Slot, Step};
use crate::Cpu;

/// SGD, with momentum and Nesterov's form of it.
///
/// `m = momentum · m - lr · g`, `variable += m`; with Nesterov `variable += momentum · m - lr · g`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// How much of the last step stays; 0 by default, which needs no slot.
    pub momentum: f64,
    /// Nesterov's form; without momentum it changes nothing.
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd { momentum: 0.0, nesterov: false }
    }
}

impl Sgd {
    pub(super) fn slots(self) -> Vec<Vec<Slot>> {
        if self.momentum == 0.0 { vec![] } else { vec![vec![Slot::zeros("momentum")]] }
    }

    /// Updates a variable and, where there is momentum, its slot.
    ///
    /// # Panics
    /// If a length does not fit, or the slot is there without momentum or absent with it.
    pub fn update(
        self,
        cpu: Cpu,
        step: Step,
        variable: &mut [f32],
        gradient: Gradient<'_>,
        momentum: Option<&mut [f32]>,
    ) {
        let lr = step.learning_rate;
        let factor = self.momentum as f32;
        assert_eq!(momentum.is_some(), self.momentum != 0.0, "optimizer: SGD's momentum");
        match momentum {
            None => each(cpu, Plain { lr }, Some(gradient), [variable]),
            Some(m) if self.nesterov => {
                each(cpu, Nesterov { lr, factor }, Some(gradient), [variable, m]);
            }
            Some(m) => each(cpu, Momentum { lr, factor }, Some(gradient), [variable, m]),
        }
    }
}

#[derive(Clone, Copy)]
struct Plain {
    lr: f32,
}

impl Elements<1> for Plain {
    #[inline(always)]
    fn step(self, g: f32, _: f32, [variable]: [f32; 1]) -> [f32; 1] {
        [variable - g * self.lr]
    }
}

#[derive(Clone, Copy)]
struct Momentum {
    lr: f32,
    factor: f32,
}

impl Elements<2> for Momentum {
    #[inline(always)]
    fn step(self, g: f32, _: f32, [variable, m]: [f32; 2]) -> [f32; 2] {
        let m = m * self.factor - g * self.lr;
        [variable + m, m]
    }
}

#[derive(Clone, Copy)]
struct Nesterov {
    lr: f32,
    factor: f32,
}

impl Elements<2> for Nesterov {
    #[inline(always)]
    fn step(self, g: f32, _: f32, [variable, m]: [f32; 2]) -> [f32; 2] {
        let m = m * self.factor - g * self.lr;
        [variable + (m * self.factor - g * self.lr), m]
    }
}
