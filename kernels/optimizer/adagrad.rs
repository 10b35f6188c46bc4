//! Adagrad.

use super::elements::{Elements, Gradient, each};
use super::{Slot, Step};
use crate::Cpu;

/// Adagrad (Duchi, Hazan and Singer, 2011): `a += g²`, `variable -= lr · g / sqrt(a + ε)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// What the accumulator starts with; 0.1 by default.
    pub initial_accumulator_value: f64,
    /// What is added inside the root; 1e-7 by default.
    pub epsilon: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad { initial_accumulator_value: 0.1, epsilon: 1e-7 }
    }
}

impl Adagrad {
    pub(super) fn slots(self) -> Vec<Vec<Slot>> {
        let initial = self.initial_accumulator_value as f32;
        vec![vec![Slot { name: "accumulator", initial }]]
    }

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
        accumulator: &mut [f32],
    ) {
        let update = Accumulate { lr: step.learning_rate, epsilon: self.epsilon as f32 };
        each(cpu, update, Some(gradient), [variable, accumulator]);
    }
}

#[derive(Clone, Copy)]
struct Accumulate {
    lr: f32,
    epsilon: f32,
}

impl Elements<2> for Accumulate {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, a]: [f32; 2]) -> [f32; 2] {
        let a = a + square;
        [variable - (self.lr * g) / (a + self.epsilon).sqrt(), a]
    }
}
