//! Optimizers: one step of one variable, in place, in Keras's order of operations.
//!
//! Formulas and defaults are those of `keras/src/optimizers/*.py` of Keras 3.15; every operation
//! is rounded to `f32` where Keras on TensorFlow rounds it. Hyperparameters are `f64`, as they
//! stand in a configuration: Keras computes `1 - beta` in `f64` and rounds the result in some
//! places, and rounds `beta` first in others.
//!
//! Before [`Optimizer::update`] Keras clips the gradients ([`clip`]) and takes the decoupled
//! weight decay off the variable ([`decay_weights`]), with any optimizer; after it, it moves the
//! average of the weights ([`move_average`]).

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
pub mod clip;
mod elements;
mod ftrl;
#[cfg(test)]
mod keras_fixtures;
mod lamb;
mod lion;
mod nadam;
mod rmsprop;
mod sgd;
#[cfg(test)]
mod tests;

pub use adadelta::Adadelta;
pub use adafactor::{Adafactor, AdafactorSlots};
pub use adagrad::Adagrad;
pub use adam::{Adam, AdamSlots};
pub use adamax::Adamax;
pub use elements::Gradient;
pub use ftrl::Ftrl;
pub use lamb::Lamb;
pub use lion::Lion;
pub use nadam::{Nadam, NadamSlots};
pub use rmsprop::{RmsProp, RmsPropSlots};
pub use sgd::Sgd;

use crate::Cpu;
use elements::{Elements, each};

/// What changes from step to step and is the same for every variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The learning rate of this step.
    pub learning_rate: f32,
    /// How many steps went before (Keras's `iterations` while it applies the gradients).
    pub iteration: u64,
}

impl Step {
    /// The number of this step, counted from 1, as Keras casts it.
    fn number(self) -> f32 {
        (self.iteration as f32) + 1.0
    }
}

/// `base` to the power of `exponent`, rounded once.
fn power(base: f32, exponent: f32) -> f32 {
    f64::from(base).powf(exponent.into()) as f32
}

/// A kind of slot: state that an optimizer keeps for every variable, of the variable's shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Keras's name, such as `momentum`.
    pub name: &'static str,
    /// The value that it starts with.
    pub initial: f32,
}

impl Slot {
    const fn zeros(name: &'static str) -> Slot {
        Slot { name, initial: 0.0 }
    }
}

/// An optimizer whose slots have the shape of their variable, with its hyperparameters.
///
/// [`Adafactor`] is not among them: its slots have shapes of their own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant is named for what it holds")]
pub enum Optimizer {
    Sgd(Sgd),
    /// Adam and AdamW, which differ in the default of `weight_decay` alone.
    Adam(Adam),
    Adamax(Adamax),
    Nadam(Nadam),
    RmsProp(RmsProp),
    Adagrad(Adagrad),
    Adadelta(Adadelta),
    Ftrl(Ftrl),
    Lion(Lion),
    Lamb(Lamb),
}

impl Optimizer {
    /// The slots of a variable, in the order that [`update`](Optimizer::update) takes them.
    ///
    /// They stand in groups, as Keras stores them: the variables' slots of a first group come
    /// before all those of a second; inside a group those of one variable stand together.
    pub fn slots(&self) -> Vec<Vec<Slot>> {
        match self {
            Optimizer::Sgd(sgd) => sgd.slots(),
            Optimizer::Adam(adam) => adam.slots(),
            Optimizer::Adamax(_) => vec![vec![Slot::zeros("momentum"), Slot::zeros("norm")]],
            Optimizer::Nadam(_) | Optimizer::Lamb(_) => {
                vec![vec![Slot::zeros("momentum"), Slot::zeros("velocity")]]
            }
            Optimizer::RmsProp(rmsprop) => rmsprop.slots(),
            Optimizer::Adagrad(adagrad) => adagrad.slots(),
            Optimizer::Adadelta(_) => {
                vec![vec![Slot::zeros("accumulated_grad"), Slot::zeros("accumulated_delta_var")]]
            }
            Optimizer::Ftrl(ftrl) => ftrl.slots(),
            Optimizer::Lion(_) => vec![vec![Slot::zeros("momentum")]],
        }
    }

    /// Updates one variable and its slots, which stand as in [`slots`](Optimizer::slots), groups
    /// after one another.
    ///
    /// Adamax takes magnitudes for the sizes of a [`Gradient`], the others squares.
    ///
    /// `u_product` is Nadam's scalar of this step ([`Nadam::next_u_product`]); others ignore it.
    ///
    /// # Panics
    /// If a length does not fit, or there are more or fewer slots.
    pub fn update(
        &self,
        cpu: Cpu,
        step: Step,
        u_product: f32,
        variable: &mut [f32],
        gradient: Gradient<'_>,
        slots: &mut [&mut [f32]],
    ) {
        match (self, slots) {
            (Optimizer::Sgd(sgd), []) => sgd.update(cpu, step, variable, gradient, None),
            (Optimizer::Sgd(sgd), [momentum]) => {
                sgd.update(cpu, step, variable, gradient, Some(momentum));
            }
            (Optimizer::Adam(adam), [momentum, velocity]) => {
                let slots = AdamSlots { momentum, velocity, velocity_hat: None };
                adam.update(cpu, step, variable, gradient, slots);
            }
            (Optimizer::Adam(adam), [momentum, velocity, hat]) => {
                let slots = AdamSlots { momentum, velocity, velocity_hat: Some(hat) };
                adam.update(cpu, step, variable, gradient, slots);
            }
            (Optimizer::Adamax(adamax), [momentum, norm]) => {
                adamax.update(cpu, step, variable, gradient, momentum, norm);
            }
            (Optimizer::Nadam(nadam), [momentum, velocity]) => {
                let slots = NadamSlots { momentum, velocity, u_product };
                nadam.update(cpu, step, variable, gradient, slots);
            }
            (Optimizer::Lamb(lamb), [momentum, velocity]) => {
                lamb.update(cpu, step, variable, gradient, momentum, velocity);
            }
            (Optimizer::RmsProp(rmsprop), [velocity, rest @ ..]) => {
                let slots = RmsPropSlots::of(*rmsprop, velocity, rest);
                rmsprop.update(cpu, step, variable, gradient, slots);
            }
            (Optimizer::Adagrad(adagrad), [accumulator]) => {
                adagrad.update(cpu, step, variable, gradient, accumulator);
            }
            (Optimizer::Adadelta(adadelta), [grad, delta]) => {
                adadelta.update(cpu, step, variable, gradient, grad, delta);
            }
            (Optimizer::Ftrl(ftrl), [accumulator, linear]) => {
                ftrl.update(cpu, step, variable, gradient, accumulator, linear);
            }
            (Optimizer::Lion(lion), [momentum]) => {
                lion.update(cpu, step, variable, gradient, momentum);
            }
            (_, slots) => panic!("optimizer: {} slots for {self:?}", slots.len()),
        }
    }
}

/// Decoupled weight decay (Loshchilov and Hutter, 2019): `variable -= variable · wd · lr`, which
/// Keras does with any optimizer before its update.
pub fn decay_weights(cpu: Cpu, weight_decay: f64, learning_rate: f32, variable: &mut [f32]) {
    #[derive(Clone, Copy)]
    struct Decay(f32, f32);

    impl Elements<1> for Decay {
        #[inline(always)]
        fn step(self, _: f32, _: f32, [variable]: [f32; 1]) -> [f32; 1] {
            [variable - variable * self.0 * self.1]
        }
    }

    each(cpu, Decay(weight_decay as f32, learning_rate), None, [variable]);
}

/// Moves the average of a variable, after its update: Keras's `use_ema`.
///
/// `average = momentum · average + (1 - momentum) · variable`, with momentum 0 in the step whose
/// `iteration` is 0.
pub fn move_average(
    cpu: Cpu,
    ema_momentum: f64,
    iteration: u64,
    average: &mut [f32],
    variable: &[f32],
) {
    #[derive(Clone, Copy)]
    struct Average(f32);

    impl Elements<1> for Average {
        #[inline(always)]
        fn step(self, variable: f32, _: f32, [average]: [f32; 1]) -> [f32; 1] {
            [self.0 * average + (1.0 - self.0) * variable]
        }
    }

    let momentum = if iteration == 0 { 0.0 } else { ema_momentum as f32 };
    each(cpu, Average(momentum), Some(variable.into()), [average]);
}
