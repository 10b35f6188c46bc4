//! RMSprop.

use super::elements::{Elements, Gradient, each};
use super::{Slot, Step};
use crate::Cpu;

/// RMSprop (Tieleman and Hinton, 2012), with momentum and the centered form (Graves, 2013).
///
/// `v = ρ v + (1 - ρ) g²`, `increment = lr · g / sqrt(v - a² + ε)` with `a` the average gradient
/// of the centered form; ε stands inside the root.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// The decay of the averages; 0.9 by default.
    pub rho: f64,
    /// How much of the last step stays; 0 by default, which needs no slot.
    pub momentum: f64,
    /// What is added inside the root; 1e-7 by default.
    pub epsilon: f64,
    /// Divides by the spread of the gradient rather than its size.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp { rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false }
    }
}

/// What RMSprop keeps for a variable.
#[derive(Debug)]
pub struct RmsPropSlots<'a> {
    /// The average square.
    pub velocity: &'a mut [f32],
    /// The last step, with momentum alone.
    pub momentum: Option<&'a mut [f32]>,
    /// The average gradient, if centered.
    pub average_gradient: Option<&'a mut [f32]>,
}

impl<'a> RmsPropSlots<'a> {
    /// Names the slots behind the velocity.
    pub(super) fn of(
        rmsprop: RmsProp,
        velocity: &'a mut [f32],
        rest: &'a mut [&mut [f32]],
    ) -> Self {
        assert_eq!(rest.len() + 1, rmsprop.slots().len(), "optimizer: the slots of {rmsprop:?}");
        let mut rest = rest.iter_mut().map(|slot| &mut **slot);
        let momentum = if rmsprop.momentum > 0.0 { rest.next() } else { None };
        let average_gradient = rest.next();
        RmsPropSlots { velocity, momentum, average_gradient }
    }
}

impl RmsProp {
    pub(super) fn slots(self) -> Vec<Vec<Slot>> {
        let mut slots = vec![vec![Slot::zeros("velocity")]];
        if self.momentum > 0.0 {
            slots.push(vec![Slot::zeros("momentum")]);
        }
        if self.centered {
            slots.push(vec![Slot::zeros("average_gradient")]);
        }
        slots
    }

    /// Updates a variable and its slots.
    ///
    /// # Panics
    /// If a length does not fit, or a slot is there that the options do not ask for, or absent.
    pub fn update(
        self,
        cpu: Cpu,
        step: Step,
        variable: &mut [f32],
        gradient: Gradient<'_>,
        slots: RmsPropSlots,
    ) {
        let RmsPropSlots { velocity, momentum, average_gradient } = slots;
        assert_eq!(momentum.is_some(), self.momentum > 0.0, "optimizer: RMSprop's momentum");
        assert_eq!(average_gradient.is_some(), self.centered, "optimizer: RMSprop's average");
        let root = Root {
            lr: step.learning_rate,
            rho: self.rho as f32,
            rest: (1.0 - self.rho) as f32,
            epsilon: self.epsilon as f32,
            momentum: self.momentum as f32,
        };
        let gradient = Some(gradient);
        match (momentum, average_gradient) {
            (None, None) => each(cpu, Plain(root), gradient, [variable, velocity]),
            (Some(m), None) => each(cpu, WithMomentum(root), gradient, [variable, velocity, m]),
            (None, Some(a)) => each(cpu, Centered(root), gradient, [variable, velocity, a]),
            (Some(m), Some(a)) => each(cpu, Both(root), gradient, [variable, velocity, m, a]),
        }
    }
}

#[derive(Clone, Copy)]
struct Root {
    lr: f32,
    rho: f32,
    rest: f32,
    epsilon: f32,
    momentum: f32,
}

impl Root {
    #[inline(always)]
    fn velocity(self, square: f32, v: f32) -> f32 {
        self.rho * v + self.rest * square
    }

    #[inline(always)]
    fn average(self, g: f32, a: f32) -> f32 {
        self.rho * a + self.rest * g
    }

    #[inline(always)]
    fn increment(self, g: f32, denominator: f32) -> f32 {
        (self.lr * g) / denominator.sqrt()
    }
}

#[derive(Clone, Copy)]
struct Plain(Root);

impl Elements<2> for Plain {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, v]: [f32; 2]) -> [f32; 2] {
        let v = self.0.velocity(square, v);
        [variable - self.0.increment(g, v + self.0.epsilon), v]
    }
}

#[derive(Clone, Copy)]
struct WithMomentum(Root);

impl Elements<3> for WithMomentum {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, v, m]: [f32; 3]) -> [f32; 3] {
        let v = self.0.velocity(square, v);
        let m = self.0.momentum * m + self.0.increment(g, v + self.0.epsilon);
        [variable - m, v, m]
    }
}

#[derive(Clone, Copy)]
struct Centered(Root);

impl Elements<3> for Centered {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, v, a]: [f32; 3]) -> [f32; 3] {
        let (v, a) = (self.0.velocity(square, v), self.0.average(g, a));
        [variable - self.0.increment(g, v - a * a + self.0.epsilon), v, a]
    }
}

#[derive(Clone, Copy)]
struct Both(Root);

impl Elements<4> for Both {
    #[inline(always)]
    fn step(self, g: f32, square: f32, [variable, v, m, a]: [f32; 4]) -> [f32; 4] {
        let (v, a) = (self.0.velocity(square, v), self.0.average(g, a));
        let m = self.0.momentum * m + self.0.increment(g, v - a * a + self.0.epsilon);
        [variable - m, v, m, a]
    }
}
